using System.Net.Http.Headers;
using RuleEngineNats.IngestionApi.Problems;

namespace RuleEngineNats.IngestionApi.Reading;

/// <summary>What a body says it is, and whether that is taken.</summary>
internal static class RequestMedia
{
    public const string Json = "application/json";
    public const string JsonLines = "application/x-ndjson";

    private const string ContentType = "Content-Type";
    private const string ContentEncoding = "Content-Encoding";

    /// <summary>Whether a body is one JSON document; null: it is.</summary>
    public static Refusal? CheckDocument(HttpRequest request)
    {
        // As almost everybody sends it.
        if (request.ContentType is null or Json)
        {
            return null;
        }

        return TryParse(request, out var type, out var refusal) && !IsJson(type)
            ? Refusals.Unsupported(ContentType, "a document is sent as application/json", "Send Content-Type: application/json.")
            : refusal;
    }

    /// <summary>Whether a body is a batch; null: it is.</summary>
    /// <param name="request">The request.</param>
    /// <param name="isArray">Whether it is a JSON array, and not a document a line.</param>
    public static Refusal? CheckBatch(HttpRequest request, out bool isArray)
    {
        isArray = false;
        if (request.ContentType is null or JsonLines)
        {
            return null;
        }

        if (!TryParse(request, out var type, out var refusal))
        {
            return refusal;
        }

        isArray = IsJson(type);
        // Plain text: what has no name for lines of JSON sends them so.
        return isArray || type is JsonLines or "application/ndjson" or "application/jsonl" or "text/plain"
            ? null
            : Refusals.Unsupported(ContentType, "a batch is sent as application/x-ndjson, or as application/json where it is an array", "Send Content-Type: application/x-ndjson.");
    }

    /// <summary>Whether a body is compressed in a way that is taken; null: it is not compressed, or by gzip.</summary>
    public static Refusal? CheckEncoding(HttpRequest request, out bool isGzip)
    {
        var encodings = request.Headers.ContentEncoding;
        isGzip = encodings is [var only] && only is not null && only.Trim().ToLowerInvariant() is "gzip" or "x-gzip";
        return isGzip || encodings.Count == 0 || (encodings is [var one] && one is not null && one.Trim().ToLowerInvariant() is "identity" or "")
            ? null
            : Refusals.Unsupported(ContentEncoding, "of compressed bodies those by gzip alone are taken", "Send Content-Encoding: gzip, or no compression.");
    }

    private static bool IsJson(string type) => type == Json || type.EndsWith("+json", StringComparison.Ordinal);

    private static bool TryParse(HttpRequest request, out string type, out Refusal? refusal)
    {
        (type, refusal) = ("", null);
        if (request.Headers.ContentType.Count != 1 || !MediaTypeHeaderValue.TryParse(request.ContentType, out var parsed) || parsed.MediaType is null)
        {
            refusal = Refusals.Unsupported(ContentType, "it is not a media type", "Send Content-Type: application/json.");
            return false;
        }

        if (parsed.CharSet?.Trim('"') is { } charset && !charset.Equals("utf-8", StringComparison.OrdinalIgnoreCase))
        {
            refusal = Refusals.Unsupported(ContentType, "JSON is UTF-8; another charset is not taken", "Send UTF-8, and no charset or charset=utf-8.");
            return false;
        }

        type = parsed.MediaType.ToLowerInvariant();
        return true;
    }
}
