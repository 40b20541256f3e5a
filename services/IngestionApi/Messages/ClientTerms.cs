using System.Security.Cryptography;
using System.Text;
using RuleEngineNats.IngestionApi.Problems;
using RuleEngineNats.IngestionApi.Reading;
using RuleEngineNats.Problems;

namespace RuleEngineNats.IngestionApi.Messages;

/// <summary>What a request says besides its body.</summary>
/// <param name="Client">Hash of its API key; empty for none. Idempotency keys of two clients do not meet.</param>
/// <param name="Key">The idempotency key; null for none.</param>
/// <param name="Entity">The entity of path or header; null for none.</param>
/// <param name="EntityField">Which of the two it is from.</param>
/// <param name="Source">What it says of where it comes from.</param>
/// <param name="IsGzip">Whether the body is compressed.</param>
internal sealed record ClientTerms(string Client, string? Key, string? Entity, string EntityField, string? Source, bool IsGzip)
{
    public const string EntityHeader = "X-Entity-Type";
    public const string PathParameter = "entity";

    private const string PathField = "path";
    private const string ApiKeyHeader = "X-Api-Key";
    private const string SourceHeader = "X-Source";
    private const int LongestHeader = 255;

    // As most requests are.
    private static readonly ClientTerms None = new("", null, null, "", null, false);

    /// <summary>The hash of the API key; empty for none, and for one that <see cref="Read"/> refuses.</summary>
    public static string ClientOf(HttpRequest request)
        => request.Headers.TryGetValue(ApiKeyHeader, out var keys) && keys is [{ Length: > 0 and <= LongestHeader } key] ? Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key))) : "";

    /// <summary>Reads the headers of a request, and reports all that is wrong with them at once.</summary>
    public static ClientTerms Read(HttpRequest request, string client, EntityHints entities, out Refusal? refusal)
    {
        var problems = new List<Refusal>();
        var path = request.RouteValues.TryGetValue(PathParameter, out var value) ? (string?)value : null;
        var header = Header(request, EntityHeader, "invalid_entity_type", problems);
        var key = Header(request, Refusals.IdempotencyKey, "invalid_idempotency_key", problems);
        var source = Header(request, SourceHeader, "invalid_source", problems);
        Header(request, ApiKeyHeader, "invalid_api_key", problems);
        var ofPath = FindEntity(entities, path, PathField, problems);
        var ofHeader = FindEntity(entities, header, EntityHeader, problems);
        Add(problems, ofPath is not null && ofHeader is not null ? EntityHints.CheckSame(ofPath, PathField, ofHeader, EntityHeader) : null);
        Add(problems, RequestMedia.CheckEncoding(request, out var isGzip));
        refusal = Together(problems);
        return problems.Count == 0 && client.Length == 0 && (path ?? header ?? key ?? source) is null && !isGzip
            ? None : new(client, key, ofPath ?? ofHeader, ofPath is null ? EntityHeader : PathField, source, isGzip);
    }

    private static string? Header(HttpRequest request, string name, string code, List<Refusal> problems)
    {
        if (!request.Headers.TryGetValue(name, out var values) || values.Count == 0)
        {
            return null;
        }

        var message = values is not [{ } value] ? $"{name} is given {values.Count} times"
            : value.Length is 0 or > LongestHeader ? $"{name} has {value.Length} characters; 1 to {LongestHeader} are taken"
            : value.AsSpan().IndexOfAnyExceptInRange('!', '~') >= 0 ? $"{name} has a character that is not visible ASCII"
            : null;
        if (message is null)
        {
            return values[0];
        }

        problems.Add(new(400, code, name, message, "Send it once, with 1 to 255 visible ASCII characters.") { Limit = LongestHeader });
        return null;
    }

    private static string? FindEntity(EntityHints entities, string? given, string field, List<Refusal> problems)
    {
        if (given is null)
        {
            return null;
        }

        Add(problems, entities.Find(given, field, out var entity));
        return entity;
    }

    private static void Add(List<Refusal> problems, Refusal? problem)
    {
        if (problem is not null)
        {
            problems.Add(problem);
        }
    }

    private static Refusal? Together(List<Refusal> problems) => problems switch
    {
        [] => null,
        [var only] => only,
        [var first, ..] => first with
        {
            Code = "validation_failed",
            Message = $"{problems.Count} problems; see errors",
            Fix = "Correct every field that errors names.",
            Errors = [.. problems.Select(problem => new FieldProblem(problem.Code, problem.Field, problem.Message, problem.Fix) { Limit = problem.Limit })],
        },
    };
}
