using RuleEngineNats.ChangeCapture.Events;
using RuleEngineNats.ChangeCapture.Formats;
using RuleEngineNats.ChangeCapture.Snapshots;

namespace RuleEngineNats.ChangeCapture.Outputs;

/// <summary>
/// Gathers the changes of a transaction into one event, or into several where they are more than goes into one: a part is sent as soon as the next
/// change does not fit, so that a transaction of any size takes no more memory than a part.
/// </summary>
/// <remarks>
/// A part has the position of its last change, the last part that of the commit: what an output holds up to a position it holds whole. After a restart
/// the first part begins exactly behind what the output holds, and counts on from there. It is not cut anew from the transaction's begin, since
/// a limit, a filter or the format may have changed meanwhile: then another cut would not fall on that position.
/// </remarks>
/// <param name="inner">Where the parts go; its format is theirs.</param>
/// <param name="changes">The format of the changes.</param>
/// <param name="deadLetters">For a change that does not fit into a part alone; null where it is sent all the same.</param>
/// <param name="largest">Bytes that every output takes: parts are the same everywhere.</param>
internal sealed class TransactionParts(ChangeOutput inner, EventFormat changes, DeadLetters? deadLetters, CaptureOptions options, Func<int> largest) : ChangeOutput
{
    private const int MostBytes = 1024 * 1024;

    // What is around the changes: names, numbers, with CloudEvents the names of slot and database; and before each, a comma or its length.
    private const int AroundAll = 1024;
    private const int AroundEach = 8;

    private readonly ChangeSubjects _subjects = new(options.SubjectPrefix);
    private readonly List<byte[]> _changes = [];
    private readonly List<byte[]> _described = [];
    private TransactionSummary? _transaction;
    private OutgoingEvent _newest;
    private int _describedBytes;
    private int _bytes;
    private int _limit;
    private int _number;
    private long _first = long.MaxValue;

    public override EventFormat Format => changes;

    public override Task Completion => inner.Completion;

    public override HeldEvent? Held => inner.Held;

    public override int LargestBody => inner.LargestBody;

    // In this order: what is no longer here is there already.
    public override long FirstUnsettled => Math.Min(Interlocked.Read(ref _first), inner.FirstUnsettled);

    public override bool RemembersSnapshots => inner.RemembersSnapshots;

    public override Task<IReadOnlyList<SnapshotEvent>> FindSnapshotsAsync(CancellationToken cancellationToken) => inner.FindSnapshotsAsync(cancellationToken);

    public override Task<ReadPlace?> FindReadAsync(string snapshot, string schema, string table, CancellationToken cancellationToken)
        => inner.FindReadAsync(snapshot, schema, table, cancellationToken);

    public override Task OpenAsync(SourceIdentity source, CancellationToken cancellationToken) => inner.OpenAsync(source, cancellationToken);

    public override async ValueTask WriteAsync(OutgoingEvent outgoing, CancellationToken cancellationToken)
    {
        if (inner.Held?.Position >= outgoing.Position)
        {
            return;
        }

        if (outgoing.Transaction is not { } transaction)
        {
            await inner.WriteAsync(outgoing, cancellationToken);
            return;
        }

        if (_transaction?.CommitLsn != transaction.CommitLsn)
        {
            Begin(transaction, outgoing.Ordinal);
        }

        switch (outgoing)
        {
            case { Role: EventRole.Begin }:
                break;
            case { Role: EventRole.Commit }:
                await SendAsync(outgoing, last: true, cancellationToken);
                Drop();
                break;
            case { Described: not null }:
                // Has no position of its own: it stays with the change that needs it.
                _described.Add(outgoing.Body);
                _describedBytes += AroundEach + outgoing.Body.Length;
                break;
            default:
                await AddAsync(outgoing, cancellationToken);
                break;
        }
    }

    public override ValueTask FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);

    public override ValueTask SyncAsync(CancellationToken cancellationToken) => inner.SyncAsync(cancellationToken);

    public override void Drop()
    {
        _changes.Clear();
        _described.Clear();
        _describedBytes = 0;
        _transaction = null;
        Interlocked.Exchange(ref _first, long.MaxValue);
    }

    public override ValueTask DisposeAsync() => inner.DisposeAsync();

    private void Begin(TransactionSummary transaction, long ordinal)
    {
        _transaction = transaction;
        _number = inner.Held is { } held && held.Position.CommitLsn == transaction.CommitLsn ? held.Part : 0;
        Interlocked.Exchange(ref _first, ordinal);
    }

    private async ValueTask AddAsync(OutgoingEvent outgoing, CancellationToken cancellationToken)
    {
        if (deadLetters is not null && outgoing.Replacement is not null && AroundAll + _describedBytes + AroundEach + outgoing.Body.Length > inner.LargestBody)
        {
            outgoing = await deadLetters.ReplaceAsync(outgoing, inner.LargestBody, cancellationToken);
        }

        var size = _describedBytes + AroundEach + outgoing.Body.Length;
        if (_changes.Count > 0 && _bytes + size > _limit)
        {
            await SendAsync(_newest, last: false, cancellationToken);
        }

        if (_changes.Count == 0)
        {
            (_bytes, _limit) = (AroundAll, Math.Min(MostBytes, largest()));
        }

        _changes.AddRange(_described);
        _changes.Add(outgoing.Body);
        _described.Clear();
        _describedBytes = 0;
        _bytes += size;
        _newest = outgoing;
    }

    private async ValueTask SendAsync(OutgoingEvent end, bool last, CancellationToken cancellationToken)
    {
        var part = new TransactionPart(++_number, last, _changes);
        var body = inner.Format.Format(new(part, end.Position, _transaction!.CommitLsn, _transaction))!;
        var sent = new OutgoingEvent(end.Ordinal, end.Position, null, _subjects.Of(part), end.Position.MessageId(options.Slot, null), body) { Part = part.Number };
        await inner.WriteAsync(sent, cancellationToken);
        _changes.Clear();
    }
}
