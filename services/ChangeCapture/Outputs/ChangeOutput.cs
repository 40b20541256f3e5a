using RuleEngineNats.ChangeCapture.Events;
using RuleEngineNats.ChangeCapture.Formats;
using RuleEngineNats.ChangeCapture.Snapshots;

namespace RuleEngineNats.ChangeCapture.Outputs;

/// <summary>A place that every event goes to, in the order of the events.</summary>
internal abstract class ChangeOutput : IAsyncDisposable
{
    /// <summary>How events look there.</summary>
    public abstract EventFormat Format { get; }

    /// <summary>The ordinal of the first event that was taken and is not safely stored yet; <see cref="long.MaxValue"/> where there is none.</summary>
    public abstract long FirstUnsettled { get; }

    /// <summary>Ends, with an exception, when the output cannot go on.</summary>
    public abstract Task Completion { get; }

    /// <summary>The last event that it held when it was opened; null where there was none, or it cannot say.</summary>
    public virtual HeldEvent? Held => null;

    /// <summary>Bytes of the largest event that it takes.</summary>
    public virtual int LargestBody => int.MaxValue;

    /// <summary>Makes it ready, however long that takes.</summary>
    public abstract Task OpenAsync(SourceIdentity source, CancellationToken cancellationToken);

    /// <summary>Takes an event; waits while there are too many on their way.</summary>
    public abstract ValueTask WriteAsync(OutgoingEvent outgoing, CancellationToken cancellationToken);

    /// <summary>No further event will come for a moment: what was taken is to be sent.</summary>
    public abstract ValueTask FlushAsync(CancellationToken cancellationToken);

    /// <summary>Stores for good what was sent, where that is not done by itself. Called beside the others.</summary>
    public abstract ValueTask SyncAsync(CancellationToken cancellationToken);

    /// <summary>Gives up what waits for the end of its transaction: the capture ends, and it comes again.</summary>
    public virtual void Drop()
    {
    }

    /// <summary>Whether it can be asked what it has of snapshots: rows go to it when the others have stored them, so that none is missing there.</summary>
    public virtual bool RemembersSnapshots => false;

    /// <summary>What it was told of this slot's snapshots, in that order. Waits for the output as long as it takes.</summary>
    public virtual Task<IReadOnlyList<SnapshotEvent>> FindSnapshotsAsync(CancellationToken cancellationToken) => Task.FromResult<IReadOnlyList<SnapshotEvent>>([]);

    /// <summary>Where the last row lies that it has of a table and a snapshot; null where there is none. Waits for the output as long as it takes.</summary>
    public virtual Task<ReadPlace?> FindReadAsync(string snapshot, string schema, string table, CancellationToken cancellationToken) => Task.FromResult<ReadPlace?>(null);

    public abstract ValueTask DisposeAsync();
}

/// <summary>An event as it goes out.</summary>
/// <param name="Ordinal">1 and up, in the order of writing.</param>
/// <param name="Position">Where it lies in what the slot brings.</param>
/// <param name="Described">What it describes of what comes at this position, and that it has no position of its own; null for other events.</param>
internal readonly record struct OutgoingEvent(long Ordinal, EventPosition Position, string? Described, string Subject, string MessageId, byte[] Body)
{
    /// <summary>What may go in its place where it is too large; null where nothing may.</summary>
    public OversizedEvent? Replacement { get; init; }

    /// <summary>Null outside of transactions.</summary>
    public TransactionSummary? Transaction { get; init; }

    /// <summary>What it is in its transaction.</summary>
    public EventRole Role { get; init; }

    /// <summary>The number of a part of a transaction, from 1; 0 for another event.</summary>
    public int Part { get; init; }

    /// <summary>Of a row that a snapshot read: where it lies in the table.</summary>
    public ReadPlace? Place { get; init; }
}

/// <summary>What an event is in its transaction.</summary>
internal enum EventRole
{
    Change,
    Begin,
    Commit,
}

/// <summary>An event that an output has from an earlier run, and with it all before it.</summary>
/// <param name="Id">Its Nats-Msg-Id.</param>
/// <param name="Part">The number of a part of a transaction; 0 for another event.</param>
internal sealed record HeldEvent(string Id, EventPosition Position, int Part);

/// <summary>Which PostgreSQL events come from: positions of two sources do not compare.</summary>
internal sealed record SourceIdentity(string SystemIdentifier, uint Timeline)
{
    public override string ToString() => $"{SystemIdentifier}:{Timeline}";
}
