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

    /// <summary>Makes it ready, however long that takes.</summary>
    public abstract Task OpenAsync(SourceIdentity source, CancellationToken cancellationToken);

    /// <summary>Takes an event; waits while there are too many on their way.</summary>
    public abstract ValueTask WriteAsync(OutgoingEvent outgoing, CancellationToken cancellationToken);

    /// <summary>No further event will come for a moment: what was taken is to be sent.</summary>
    public abstract ValueTask FlushAsync(CancellationToken cancellationToken);

    /// <summary>Stores for good what was sent, where that is not done by itself. Called beside the others.</summary>
    public abstract ValueTask SyncAsync(CancellationToken cancellationToken);

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
    /// <summary>Of a row that a snapshot read: where it lies in the table.</summary>
    public ReadPlace? Place { get; init; }
}

/// <summary>Which PostgreSQL events come from: positions of two sources do not compare.</summary>
internal sealed record SourceIdentity(string SystemIdentifier, uint Timeline)
{
    public override string ToString() => $"{SystemIdentifier}:{Timeline}";
}
