using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace RuleEngineNats.IngestionTool;

/// <summary>What the API says instead of an answer, in one line for people.</summary>
/// <param name="Status">The HTTP status.</param>
/// <param name="Code">For programs; null where the answer is no problem document.</param>
internal sealed record ApiProblem(int Status, string? Code, string Text)
{
    private const int MaxBytes = 64 * 1024;
    private const int MaxForeign = 200;

    /// <summary>When to try again, where the API says so.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>Whether the same request may be answered another time.</summary>
    public bool MayPass => Status is 408 or 429 or >= 500 and not 501 and not 505;

    public static async Task<ApiProblem> OfAsync(HttpResponseMessage response, TimeProvider time, CancellationToken cancellationToken)
    {
        var body = new byte[MaxBytes];
        await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        var read = await stream.ReadAtLeastAsync(body, body.Length, throwOnEndOfStream: false, cancellationToken);
        var (code, text) = Read(body.AsMemory(0, read), response.Content.Headers.ContentType?.MediaType == "application/x-ndjson");
        return new((int)response.StatusCode, code, $"{(int)response.StatusCode} {text ?? Reason(response.StatusCode)}") { RetryAfter = After(response.Headers.RetryAfter, time) };
    }

    private static TimeSpan? After(RetryConditionHeaderValue? header, TimeProvider time)
        => header?.Delta ?? (header?.Date is { } date ? date - time.GetUtcNow() : null);

    private static string Reason(HttpStatusCode status) => status.ToString();

    // {"code","detail","fix","errors":[{"code","field","message","fix"}]}, or verdicts of lines, of which the first says it, or what some proxy says.
    private static (string? Code, string? Text) Read(ReadOnlyMemory<byte> body, bool isLines)
    {
        try
        {
            using var json = JsonDocument.Parse(isLines ? body[..Math.Max(0, body.Span.IndexOf((byte)'\n'))] : body);
            var problem = json.RootElement;
            var code = Member(problem, "code");
            var errors = problem.TryGetProperty("errors", out var list) && list.ValueKind == JsonValueKind.Array
                ? list.EnumerateArray().Select(error => $"{Member(error, "field")}: {Member(error, "message")}").ToArray()
                : [];
            var detail = string.Join("; ", errors.Length > 1 ? errors : [Member(problem, "detail") ?? ""]);
            return (code, string.Join(" ", $"{code}: {detail}", Member(problem, "fix")).Trim());
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            var foreign = Encoding.UTF8.GetString(body.Span[..Math.Min(body.Length, MaxForeign)]).ReplaceLineEndings(" ").Trim();
            return (null, foreign.Length > 0 ? foreign : null);
        }
    }

    private static string? Member(JsonElement element, string name)
        => element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}

/// <summary>The API refuses, and would refuse again.</summary>
internal sealed class ApiRefusedException(string message) : Exception(message);

/// <summary>The API cannot be reached, or cannot answer now.</summary>
internal sealed class ApiUnreachableException(string message) : Exception(message);
