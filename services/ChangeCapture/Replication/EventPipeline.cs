using RuleEngineNats.ChangeCapture.Events;
using RuleEngineNats.ChangeCapture.Formats;
using RuleEngineNats.ChangeCapture.Outputs;
using RuleEngineNats.ChangeCapture.Pgoutput;

namespace RuleEngineNats.ChangeCapture.Replication;

/// <summary>Brings each event to every output, formatted once per format, and once although a later session of the server may send it again.</summary>
/// <param name="replaces">Whether a large change comes with what may go in its place.</param>
internal sealed class EventPipeline(string slot, ChangeSubjects subjects, IReadOnlyList<ChangeOutput> outputs, CaptureStatus status, bool replaces)
{
    private readonly EventFormat[] _formats = [.. outputs.Select(output => output.Format).Distinct()];
    private readonly byte[]?[] _bodies = new byte[]?[outputs.Count];
    private readonly Dictionary<uint, Relation> _described = [];
    private EventPosition _written;

    /// <summary>The number of the last event that was written.</summary>
    public long LastOrdinal { get; private set; }

    /// <summary>Every event before it is stored everywhere.</summary>
    public long FirstUnsettled => outputs.Min(output => output.FirstUnsettled);

    /// <summary>The last event that was written, or that the outputs had before this process; null where there is none.</summary>
    public EventPosition? LastPosition => LastOrdinal > 0 ? _written : outputs.Min(output => output.Held?.Position);

    /// <summary>Whether the event at a position was written already.</summary>
    public bool IsWritten(EventPosition position) => LastOrdinal > 0 && position <= _written;

    /// <summary>Whether a table is to be described before its rows: the server does so again in each session, and after each TRUNCATE.</summary>
    public bool IsNew(Relation relation)
        => !_described.TryGetValue(relation.Id, out var known) || (known != relation && !known.Describes(relation));

    public async ValueTask WriteAsync(ChangeEvent change, CancellationToken cancellationToken)
    {
        for (var index = 0; index < _formats.Length; index++)
        {
            _bodies[index] = _formats[index].Format(change);
        }

        LastOrdinal++;
        status.Written(LastOrdinal);
        var (described, subject) = (change.Described, subjects.Of(change.Message));
        var messageId = change.Position.MessageId(slot, described);
        var replacement = replaces && _bodies.Any(body => body?.Length > OversizedEvent.LeastBytes) ? OversizedEvent.Of(change) : null;
        var role = change.Message switch { WalMessage.Begin => EventRole.Begin, WalMessage.Commit => EventRole.Commit, _ => EventRole.Change };
        foreach (var output in outputs)
        {
            if (_bodies[Array.IndexOf(_formats, output.Format)] is { } body)
            {
                await output.WriteAsync(new(LastOrdinal, change.Position, described, subject, messageId, body) { Replacement = replacement, Transaction = change.Transaction, Role = role }, cancellationToken);
            }
        }

        if (described is null)
        {
            _written = change.Position;
        }
        else if (change.Message is WalMessage.RelationDescription { Relation: var relation })
        {
            _described[relation.Id] = relation;
        }
    }

    /// <summary>Rows that a snapshot read. An output that remembers how far it came gets them when the others have stored them, so that these miss none.</summary>
    public async ValueTask WriteReadsAsync(IReadOnlyList<ChangeEvent> reads, CancellationToken cancellationToken)
    {
        foreach (var output in outputs.OrderBy(output => output.RemembersSnapshots))
        {
            var ordinal = LastOrdinal;
            foreach (var read in reads)
            {
                ordinal++;
                if (output.Format.Format(read) is { } body)
                {
                    await output.WriteAsync(
                        new(ordinal, read.Position, null, subjects.Of(read.Message), read.Position.MessageId(slot, null), body) { Place = read.Place }, cancellationToken);
                }
            }

            await output.FlushAsync(cancellationToken);
            await output.SyncAsync(cancellationToken);
        }

        if (reads.Count > 0)
        {
            (LastOrdinal, _written) = (LastOrdinal + reads.Count, reads[^1].Position);
            status.Written(LastOrdinal);
        }
    }

    public async ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        foreach (var output in outputs)
        {
            await output.FlushAsync(cancellationToken);
        }
    }

    /// <summary>Waits until every event up to one is stored.</summary>
    public async Task SettleAsync(long ordinal, TimeProvider time, CancellationToken cancellationToken)
    {
        await FlushAsync(cancellationToken);
        await SyncAsync(cancellationToken);
        while (FirstUnsettled <= ordinal)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(10), time, cancellationToken);
        }
    }

    /// <summary>Gives up what waits for the end of its transaction.</summary>
    public void Drop()
    {
        foreach (var output in outputs)
        {
            output.Drop();
        }
    }

    public async ValueTask SyncAsync(CancellationToken cancellationToken)
    {
        foreach (var output in outputs)
        {
            await output.SyncAsync(cancellationToken);
        }
    }
}
