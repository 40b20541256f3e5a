namespace RuleEngineNats.IngestionApi.Problems;

/// <summary>Why a body could not be read to its end.</summary>
internal static class BodyFailures
{
    public static bool Is(Exception exception) => exception is BadHttpRequestException or InvalidDataException or IOException or OperationCanceledException;

    /// <summary>Null where the client is gone and hears nothing any more.</summary>
    public static Refusal? Of(Exception exception, IngestionOptions options) => exception switch
    {
        BadHttpRequestException { StatusCode: 408 } => Refusals.TooSlow,
        BadHttpRequestException { StatusCode: 413 } => Refusals.TooLarge(options.MaxBatchBytes, "Ingestion:MaxBatchBytes"),
        BadHttpRequestException bad => new(bad.StatusCode, "invalid_request", Refusals.Body, bad.Message, "Send the body as its headers say."),
        InvalidDataException => Refusals.BadGzip,
        _ => null,
    };
}
