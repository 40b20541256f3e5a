using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.Problems;

/// <summary>A request body as far as it could be read, with every problem found in it: unknown fields and wrong types here, the slice adds its own.</summary>
internal sealed class RequestBody<T>(T value)
    where T : class
{
    private readonly HashSet<string> _given = new(StringComparer.Ordinal);
    private Problem? _unreadable;

    /// <summary>What was sent; fields with a problem keep their defaults.</summary>
    public T Value { get; } = value;

    /// <summary>What is wrong with it so far.</summary>
    public FieldProblems Problems { get; } = new();

    /// <summary>Whether the body has a field, be it null.</summary>
    public bool Has(string field) => _given.Contains(field);

    /// <summary>The answer if the body cannot be accepted; to be asked for after all checks.</summary>
    public IResult? Refusal() => (_unreadable ?? Problems.ToProblem())?.ToResult();

    /// <summary>Reads a body. A name that the type has not is a problem.</summary>
    /// <param name="request">The request.</param>
    /// <param name="type">Its type in the service's JSON; it needs a constructor without parameters.</param>
    /// <param name="optional">Whether the body may be empty.</param>
    public static async Task<RequestBody<T>> ReadAsync(HttpRequest request, JsonTypeInfo<T> type, CancellationToken cancellationToken, bool optional = false)
    {
        var body = new RequestBody<T>((T)type.CreateObject!());
        if (MediaTypeProblem(request) is { } refused)
        {
            body._unreadable = refused;
            return body;
        }

        using var bytes = new MemoryStream();
        try
        {
            await request.Body.CopyToAsync(bytes, cancellationToken);
        }
        catch (BadHttpRequestException exception)
        {
            body._unreadable = RequestProblems.From(exception, request.HttpContext);
            return body;
        }

        if (!optional || bytes.Length > 0)
        {
            body.Read(bytes.GetBuffer().AsMemory(0, (int)bytes.Length), type);
        }

        return body;
    }

    private static Problem? MediaTypeProblem(HttpRequest request)
    {
        if (request.Headers.ContentEncoding.Count > 0)
        {
            return RequestProblems.UnsupportedMediaType("A body with Content-Encoding is not taken.");
        }

        var charset = MediaTypeHeaderValue.TryParse(request.ContentType, out var mediaType) ? mediaType.CharSet?.Trim('"') : null;
        return charset is null || charset.Equals("utf-8", StringComparison.OrdinalIgnoreCase)
            ? null
            : RequestProblems.UnsupportedMediaType("JSON is UTF-8; another charset is not taken.");
    }

    private void Read(ReadOnlyMemory<byte> bytes, JsonTypeInfo<T> type)
    {
        if (PayloadRules.Check(bytes.Span, int.MaxValue) is { } problem)
        {
            _unreadable = Problem.Of(400, "invalid_json", $"body: {problem.Reason} at byte {problem.Byte}", "Send one JSON object in UTF-8.");
            return;
        }

        using var document = JsonDocument.Parse(bytes);
        if (document.RootElement.ValueKind != JsonValueKind.Object)
        {
            _unreadable = Problem.Of(400, "invalid_json", "The body must be a JSON object.", "Send one JSON object in UTF-8.");
            return;
        }

        foreach (var field in document.RootElement.EnumerateObject())
        {
            if (type.Properties.FirstOrDefault(candidate => candidate.Name == field.Name) is { Set: not null } property)
            {
                Set(field, property, type.Options);
            }
            else
            {
                Problems.Add("unknown_field", Shown(field.Name), "There is no such field.",
                    $"Leave it out. The fields are {string.Join(", ", type.Properties.Select(known => known.Name))}.");
            }
        }
    }

    private void Set(JsonProperty field, JsonPropertyInfo property, JsonSerializerOptions options)
    {
        try
        {
            property.Set!(Value, field.Value.Deserialize(options.GetTypeInfo(property.PropertyType)));
            _given.Add(field.Name);
        }
        catch (JsonException)
        {
            Problems.Add("wrong_type", field.Name, $"must be {Expected(property.PropertyType)}", "Send a value of that type.");
        }
    }

    private static string Expected(Type type) => (Nullable.GetUnderlyingType(type) ?? type) switch
    {
        var number when number == typeof(int) || number == typeof(long) => "an integer",
        var number when number == typeof(double) || number == typeof(decimal) => "a number",
        var boolean when boolean == typeof(bool) => "true or false",
        var list when list == typeof(string[]) => "an array of strings",
        var list when list == typeof(int[]) => "an array of integers",
        var text when text == typeof(string) => "a string",
        var time when time == typeof(DateTimeOffset) => "a time as RFC 3339 has it",
        _ => "an object of strings",
    };

    private static string Shown(string name)
    {
        var shown = name.Length <= 64 ? name : name[..64] + "…";
        return string.Concat(shown.Select(character => char.IsControl(character) ? '?' : character));
    }
}
