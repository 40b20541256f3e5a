using System.Globalization;
using RuleEngineNats.Contracts;
using RuleEngineNats.Messaging;
using RuleEngineNats.Problems;

namespace RuleEngineNats.IngestionApi.Problems;

/// <summary>Every refusal there is; docs/ingestion.md has the same list.</summary>
internal static class Refusals
{
    public const string Body = "body";

    public static readonly Refusal Empty = new(400, "empty_body", Body, "there is no document", "Send one JSON value in UTF-8.");

    public static readonly Refusal EmptyBatch = new(400, "empty_body", Body, "there is no line", "Send one JSON document a line, or a JSON array of them.");

    public static readonly Refusal NoArray = new(
        400, "invalid_batch", Body, "the body is not a JSON array", "Send a JSON array as application/json, or one document a line as application/x-ndjson.");

    public static readonly Refusal AfterArray = new(400, "trailing_data", Body, "there is something behind the JSON array", "End the body with the array.");

    public static readonly Refusal Truncated = new(400, "truncated", Body, "the body ends in the middle of it", "Send it to its end.");

    public static readonly Refusal TooSlow = new(408, "too_slow", Body, "the body came too slowly (Ingestion:MinBodyBytesPerSecond)", "Send the request again, faster or in smaller parts.");

    public static readonly Refusal BadGzip = new(400, "invalid_gzip", Body, "the body is not what Content-Encoding says: gzip", "Compress it with gzip, or send it as it is without Content-Encoding.");

    public static readonly Refusal KeyReused = new(
        409, "idempotency_key_reused", IdempotencyKey, "this idempotency key was used before with another document", "Take a new key for a new document.");

    public static readonly Refusal Overloaded = new(
        503, "overloaded", "", "more documents are on their way to the stream than this service takes at once", "Send it again after the time in Retry-After.")
    { RetryAfterSeconds = 1 };

    public const string IdempotencyKey = "Idempotency-Key";

    public static Refusal Json(PayloadProblem problem) => problem.Kind switch
    {
        PayloadProblemKind.Empty => Empty,
        PayloadProblemKind.TooLarge => new(413, FieldProblem.TooLarge, Body, $"{problem.Reason} at byte {problem.Byte}", "Send a smaller document."),
        _ => new(400, "invalid_json", Body, $"{problem.Reason} at byte {problem.Byte}", "Send one JSON value in UTF-8, as RFC 8259 has it.") { IsJson = true },
    };

    public static Refusal TooLarge(long limit, string setting) => new(
        413, FieldProblem.TooLarge, Body, string.Create(CultureInfo.InvariantCulture, $"larger than {limit} bytes ({setting})"), "Send less at once.")
    { Limit = limit };

    public static Refusal TooManyLines(int limit) => new(
        413, "too_many_lines", Body, string.Create(CultureInfo.InvariantCulture, $"this line and those after it are beyond line {limit} (Ingestion:MaxLines)"), "Send them in a further batch.")
    { Limit = limit };

    public static Refusal Unsupported(string field, string message, string fix) => new(415, "unsupported_media_type", field, message, fix);

    public static Refusal RateLimited(int retryAfterSeconds) => new(
        429, "rate_limited", "", "more requests a second than this client has (Ingestion:RequestsPerSecond)", "Send it again after the time in Retry-After.")
    { RetryAfterSeconds = retryAfterSeconds };

    public static Refusal StreamFull(int retryAfterSeconds) => new(
        503, "stream_full", "", $"the stream {StreamNames.Messages} is full: the workers are behind", "Send it again after the time in Retry-After.")
    { RetryAfterSeconds = retryAfterSeconds };

    /// <summary>Null where the document is stored.</summary>
    /// <param name="outcome">How the publish ended.</param>
    /// <param name="fullFor">Seconds until a full stream has room.</param>
    public static Refusal? Of(PublishOutcome outcome, int fullFor) => outcome switch
    {
        PublishOutcome.Refused { Reason: RefusalReason.BodyMismatch } => KeyReused,
        PublishOutcome.Refused { Reason: RefusalReason.TooLarge } => TooLarge(IngestionOptions.MaxEnvelopeBytes, "the largest message"),
        PublishOutcome.Refused refused => Unavailable("stream_refused", refused.Message, 10),
        PublishOutcome.Unavailable { Reason: UnavailableReason.StreamFull } => StreamFull(fullFor),
        PublishOutcome.Unavailable { Reason: UnavailableReason.NoStream } unavailable => Unavailable("stream_missing", unavailable.Message, 2),
        PublishOutcome.Unavailable { Reason: UnavailableReason.Timeout } unavailable => Unavailable("outcome_unknown", unavailable.Message, 1),
        PublishOutcome.Unavailable unavailable => Unavailable("nats_unavailable", unavailable.Message, 2),
        _ => null,
    };

    private static Refusal Unavailable(string code, string message, int retryAfterSeconds)
        => new(503, code, "", message, "Send it again after the time in Retry-After, with an Idempotency-Key so that it is stored once.") { RetryAfterSeconds = retryAfterSeconds };
}
