using System.Buffers;
using System.Collections.Frozen;
using System.Text.Json;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.DeliveryWorker.Routing;

/// <summary>The headers a webhook's row adds to its requests, checked once; anything that could end a header line or that belongs to the connection or to us refuses the endpoint.</summary>
internal sealed record EndpointHeaders(IReadOnlyList<KeyValuePair<string, string>> Values, string? Problem)
{
    private const int MaxCount = 64;
    private const int MaxTotalLength = 8 * 1024;

    private static readonly SearchValues<char> NameCharacters =
        SearchValues.Create("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

    private static readonly FrozenSet<string> Reserved = FrozenSet.Create(
        StringComparer.OrdinalIgnoreCase,
        "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "host", "expect", "http2-settings",
        "content-length", "content-encoding", EventHeaders.TraceParent, "tracestate", "baggage");

    public bool Has(string name)
    {
        foreach (var (own, _) in Values)
        {
            if (own.Equals(name, StringComparison.OrdinalIgnoreCase))
            {
                return true;
            }
        }

        return false;
    }

    public static EndpointHeaders Parse(string? json)
    {
        if (string.IsNullOrWhiteSpace(json))
        {
            return new([], null);
        }

        try
        {
            using var document = JsonDocument.Parse(json);
            return document.RootElement.ValueKind switch
            {
                JsonValueKind.Object => Check([.. document.RootElement.EnumerateObject().Select(property => KeyValuePair.Create(property.Name, Text(property.Value)))]),
                JsonValueKind.Null => new([], null),
                _ => new([], "headers: not a JSON object"),
            };
        }
        catch (JsonException)
        {
            return new([], "headers: not JSON");
        }
    }

    /// <summary>Headers of a queued event that may go out. With those that were added on the way it may have more than the most a publisher can give.</summary>
    public static IReadOnlyList<KeyValuePair<string, string>> OfEvent(string? json)
    {
        if (json is null)
        {
            return [];
        }

        using var document = JsonDocument.Parse(json);
        return document.RootElement.ValueKind is JsonValueKind.Object
            ? [.. document.RootElement.EnumerateObject().Select(header => KeyValuePair.Create(header.Name, Text(header.Value))).Where(header => MaySend(header.Key, header.Value))]
            : [];
    }

    public static EndpointHeaders Check(IReadOnlyList<KeyValuePair<string, string>> headers)
    {
        if (headers.Count > MaxCount)
        {
            return new([], "headers: more than 64");
        }

        var names = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        var total = 0;
        foreach (var (name, value) in headers)
        {
            if (FindProblem(name, value) is { } problem)
            {
                return new([], "headers: " + problem);
            }

            if (!names.Add(name))
            {
                return new([], "headers: a name is given twice");
            }

            total += name.Length + value.Length + 4;
        }

        return total > MaxTotalLength ? new([], "headers: more than 8 KiB") : new(headers, null);
    }

    /// <summary>Whether a header may go out at all.</summary>
    public static bool MaySend(string name, string value) => FindProblem(name, value) is null;

    // The problem never repeats the value: it may be a token, or an attack on whoever reads the log.
    private static string? FindProblem(string name, string value)
    {
        if (name.Length == 0 || name.AsSpan().ContainsAnyExcept(NameCharacters))
        {
            return "a name is not a token";
        }

        if (Reserved.Contains(name) || name.StartsWith("webhook-", StringComparison.OrdinalIgnoreCase))
        {
            return $"{name} is reserved";
        }

        return value.AsSpan().ContainsAnyExceptInRange(' ', '~') ? $"the value of {name} has a character that is not printable ASCII" : null;
    }

    private static string Text(JsonElement value) => value.ValueKind == JsonValueKind.String ? value.GetString()! : value.GetRawText();
}
