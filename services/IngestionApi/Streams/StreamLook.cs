namespace RuleEngineNats.IngestionApi.Streams;

/// <summary>What the stream of documents and its consumer looked like.</summary>
/// <param name="Bytes">Bytes in the stream.</param>
/// <param name="MaxBytes">Most that it takes; -1 for no limit.</param>
/// <param name="Messages">Documents in the stream, those that are stored and not yet removed included.</param>
/// <param name="Waiting">Documents that were never delivered to a worker; null where no worker ever was here.</param>
/// <param name="InProgress">Documents that a worker has and has not acknowledged.</param>
/// <param name="AckFloor">Every document up to this sequence is acknowledged.</param>
/// <param name="LastSequence">The last sequence of the stream.</param>
internal sealed record StreamLook(long Bytes, long MaxBytes, long Messages, long? Waiting, long InProgress, ulong AckFloor, ulong LastSequence)
{
    /// <summary>Documents that no worker has recorded as stored.</summary>
    public long Pending => Waiting is { } waiting ? waiting + InProgress : Messages;
}
