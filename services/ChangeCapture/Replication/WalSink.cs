namespace RuleEngineNats.ChangeCapture.Replication;

/// <summary>Where the messages of a replication session go: on to the outputs (<see cref="DirectSink"/>), or to disk while these stand still (<see cref="Spilling.SpillSink"/>).</summary>
internal interface IWalSink
{
    /// <param name="lsn">Where in the WAL the message's cause lies.</param>
    /// <param name="message">Not kept.</param>
    public ValueTask HandleAsync(ulong lsn, ReadOnlyMemory<byte> message, CancellationToken cancellationToken);

    /// <summary>Nothing has come yet: what came before need not wait for it.</summary>
    public ValueTask FlushAsync(CancellationToken cancellationToken);

    /// <summary>Stores for good what was flushed. Called beside the others.</summary>
    /// <param name="received">How far the server has sent.</param>
    /// <returns>How far the slot may be confirmed.</returns>
    public ValueTask<ulong> SyncAsync(ulong received, CancellationToken cancellationToken);

    /// <summary>Nothing more comes, the capture was stopped: brings to its end what can be, until it is cancelled.</summary>
    public Task DrainAsync(CancellationToken cancellationToken);
}

/// <summary>On to the outputs: the slot is confirmed as far as these have everything.</summary>
internal sealed class DirectSink(EventPipeline pipeline, TransactionReader transactions, ConfirmedWal wal, TimeProvider time) : IWalSink
{
    public ValueTask HandleAsync(ulong lsn, ReadOnlyMemory<byte> message, CancellationToken cancellationToken) => transactions.HandleAsync(lsn, message, cancellationToken);

    public ValueTask FlushAsync(CancellationToken cancellationToken) => pipeline.FlushAsync(cancellationToken);

    public async ValueTask<ulong> SyncAsync(ulong received, CancellationToken cancellationToken)
    {
        await pipeline.SyncAsync(cancellationToken);
        return wal.Advance(received, () => pipeline.FirstUnsettled);
    }

    public Task DrainAsync(CancellationToken cancellationToken)
    {
        pipeline.Drop();
        return pipeline.SettleAsync(pipeline.LastOrdinal, time, cancellationToken);
    }
}
