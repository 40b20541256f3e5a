using RuleEngineNats.ChangeCapture.Events;
using RuleEngineNats.ChangeCapture.Filters;
using RuleEngineNats.ChangeCapture.Guard;
using RuleEngineNats.ChangeCapture.Pgoutput;
using RuleEngineNats.ChangeCapture.Snapshots;

namespace RuleEngineNats.ChangeCapture.Replication;

/// <summary>
/// Turns the messages of one replication session into events. A transaction that is sent before its commit waits in a spool; a begin goes out with
/// the first event behind it, and a description, where it says something new, with the first row that needs it.
/// </summary>
internal sealed class TransactionReader : IDisposable
{
    private readonly CaptureFilter _filter;
    private readonly EventPipeline _pipeline;
    private readonly ConfirmedWal _wal;
    private readonly ReadSlotNote _notes;
    private readonly SnapshotQueue _snapshots;
    private readonly string _spoolDirectory;
    private readonly WalDecoder _decoder;
    private readonly Dictionary<uint, TransactionSpool> _spools = [];
    private readonly List<WalMessage.TypeDescription> _types = [];
    private byte[] _buffer = [];
    private TransactionSpool? _streaming;
    private TransactionSummary? _transaction;
    private WalMessage.Origin? _origin;
    private bool _begun;
    private long _index;

    public TransactionReader(CaptureFilter filter, EventPipeline pipeline, ConfirmedWal wal, ReadSlotNote notes, SnapshotQueue snapshots, string spoolDirectory)
    {
        (_filter, _pipeline, _wal, _notes, _snapshots, _spoolDirectory) = (filter, pipeline, wal, notes, snapshots, spoolDirectory);
        _decoder = new(filter.Apply);
        wal.Restart();
    }

    /// <param name="lsn">Where in the WAL the message's cause lies.</param>
    /// <param name="message">Not kept.</param>
    public ValueTask HandleAsync(ulong lsn, ReadOnlyMemory<byte> message, CancellationToken cancellationToken)
    {
        if (_streaming is not null && message.Span is not [(byte)'E', ..])
        {
            _streaming.Append(lsn, message.Span);
            if (WalDecoder.StreamedRelation(message.Span) is { } described)
            {
                _streaming.DescribedSince.Remove(described);
            }

            return ValueTask.CompletedTask;
        }

        return HandleAsync(lsn, _decoder.Decode(message, streamed: false), cancellationToken);
    }

    public void Dispose()
    {
        foreach (var (_, spool) in _spools)
        {
            spool.Dispose();
        }
    }

    private async ValueTask HandleAsync(ulong lsn, WalMessage message, CancellationToken cancellationToken)
    {
        switch (message)
        {
            case WalMessage.Begin begin:
                _wal.Begin();
                Begin(begin.Xid, begin.CommitLsn, begin.CommitTime);
                break;
            case WalMessage.Commit commit:
                await CommitAsync(commit, cancellationToken);
                break;
            case WalMessage.StreamStart start:
                _streaming = Spool(start.Xid);
                break;
            case WalMessage.StreamStop:
                _streaming = null;
                break;
            case WalMessage.StreamAbort abort:
                Abort(abort);
                break;
            case WalMessage.StreamCommit commit:
                await ReplayAsync(commit, cancellationToken);
                break;
            case WalMessage.Logical { Transactional: false, Prefix: SnapshotMessage.Prefix }:
                // Without a transaction it has no commit that the rows could take the place of.
                _snapshots.Refuse();
                break;
            case WalMessage.Logical { Transactional: false } logical:
                await ImmediateAsync(logical, cancellationToken);
                break;
            default:
                await ChangeAsync(lsn, message, cancellationToken);
                break;
        }
    }

    private void Begin(uint xid, ulong commitLsn, long commitTime)
        => (_transaction, _begun, _index, _origin) = (new(xid, commitLsn, commitTime), false, 0, null);

    private async ValueTask ChangeAsync(ulong lsn, WalMessage message, CancellationToken cancellationToken)
    {
        switch (message)
        {
            case WalMessage.RelationDescription { Relation: var described }:
                described.Types = [.. _types];
                _types.Clear();
                foreach (var (_, spool) in _spools)
                {
                    spool.DescribedSince.Add(described.Id);
                }

                break;
            case WalMessage.TypeDescription type:
                _types.Add(type);
                break;
            case WalMessage.Origin origin:
                _origin = origin;
                break;
            case WalMessage.Row row:
                _index++;
                if (row.Relation.Included)
                {
                    _snapshots.Note(_transaction!.Xid, row);
                    if (_filter.Includes(Operation(row.Operation)) && row.Relation.Wanted?.Invoke(row) != false)
                    {
                        await EmitAsync(message, row.Relation, lsn, cancellationToken);
                    }
                }

                break;
            case WalMessage.Truncate truncate:
                foreach (var relation in truncate.Relations)
                {
                    _index++;
                    if (relation.Included && _filter.Includes(CapturedOperation.Truncate))
                    {
                        await EmitAsync(truncate with { Relations = [relation] }, relation, lsn, cancellationToken);
                    }
                }

                break;
            case WalMessage.Logical note when SlotNotes.IsNote(note):
                _index++;
                await _notes.HandleAsync(note, new(_transaction?.CommitLsn ?? lsn, _index), lsn, cancellationToken);
                break;
            case WalMessage.Logical { Prefix: SnapshotMessage.Prefix } logical:
                _index++;
                await SnapshotAsync(logical, lsn, cancellationToken);
                break;
            case WalMessage.Logical:
                _index++;
                await EmitAsync(message, null, lsn, cancellationToken);
                break;
        }
    }

    private static CapturedOperation Operation(RowOperation operation) => operation switch
    {
        RowOperation.Insert => CapturedOperation.Insert,
        RowOperation.Update => CapturedOperation.Update,
        _ => CapturedOperation.Delete,
    };

    private async ValueTask EmitAsync(WalMessage message, Relation? relation, ulong lsn, CancellationToken cancellationToken)
    {
        var transaction = _transaction ?? throw new PgoutputException("a change outside of a transaction");
        var position = new EventPosition(transaction.CommitLsn, _index);
        if (_pipeline.IsWritten(position))
        {
            _begun = true;
            return;
        }

        if (!_begun)
        {
            await BeginAsync(transaction, cancellationToken);
        }

        await DescribeAsync(relation, position, lsn, transaction, cancellationToken);
        await _pipeline.WriteAsync(new(message, position, lsn, transaction), cancellationToken);
    }

    private async ValueTask DescribeAsync(Relation? relation, EventPosition position, ulong lsn, TransactionSummary transaction, CancellationToken cancellationToken)
    {
        if (relation is not null && _pipeline.IsNew(relation))
        {
            foreach (var type in relation.Types)
            {
                await _pipeline.WriteAsync(new(type, position, lsn, transaction), cancellationToken);
            }

            await _pipeline.WriteAsync(new(new WalMessage.RelationDescription(relation), position, lsn, transaction), cancellationToken);
        }
    }

    // Rows that were read take the place of their mark, and have no Begin and Commit around them: nothing happened to them there.
    private async ValueTask SnapshotAsync(WalMessage.Logical message, ulong lsn, CancellationToken cancellationToken)
    {
        var transaction = _transaction ?? throw new PgoutputException("a change outside of a transaction");
        var first = new EventPosition(transaction.CommitLsn, _index);
        var content = await _snapshots.MeetAsync(message.Content, first, cancellationToken);
        if (content is Announcement announcement)
        {
            // On its own in every unit of events: a later start looks for it.
            if (!_pipeline.IsWritten(first))
            {
                await _pipeline.WriteAsync(new(new WalMessage.Snapshot(announcement.Event), first, lsn, null), cancellationToken);
            }
        }
        else if (content is TableChunk { Kept.Count: > 0 } chunk)
        {
            var relation = chunk.Description.Relation;
            await DescribeAsync(relation, first, lsn, transaction, cancellationToken);
            var reads =
                from kept in chunk.Kept.Index()
                let read = new WalMessage.Row(RowOperation.Read, relation, null, false, kept.Item.Row.Values)
                where relation.Wanted?.Invoke(read) != false
                select new ChangeEvent(read, first with { Index = first.Index + kept.Index }, lsn, transaction) { Place = chunk.PlaceOf(kept.Item.Row, kept.Item.Index) };
            await _pipeline.WriteReadsAsync([.. reads], cancellationToken);
        }

        if (content is not null)
        {
            _snapshots.Written(content);
        }
    }

    private async ValueTask BeginAsync(TransactionSummary transaction, CancellationToken cancellationToken)
    {
        _begun = true;
        var position = new EventPosition(transaction.CommitLsn, 0);
        if (_pipeline.IsWritten(position))
        {
            return;
        }

        var begin = new WalMessage.Begin(transaction.CommitLsn, transaction.CommitTime, transaction.Xid);
        await _pipeline.WriteAsync(new(begin, position, transaction.CommitLsn, transaction), cancellationToken);
        if (_origin is { } origin)
        {
            await _pipeline.WriteAsync(new(origin, position with { Index = 1 }, transaction.CommitLsn, transaction), cancellationToken);
        }
    }

    private async ValueTask CommitAsync(WalMessage.Commit commit, CancellationToken cancellationToken)
    {
        var transaction = _transaction ?? throw new PgoutputException("a commit outside of a transaction");
        var position = new EventPosition(transaction.CommitLsn, _index + 1);
        if (_begun && !_pipeline.IsWritten(position))
        {
            await _pipeline.WriteAsync(new(commit, position, commit.CommitLsn, transaction), cancellationToken);
        }

        _transaction = null;
        _wal.End(commit.EndLsn, _pipeline.LastOrdinal);
    }

    // Outside of transactions; it is there whether or not anything commits.
    private async ValueTask ImmediateAsync(WalMessage.Logical message, CancellationToken cancellationToken)
    {
        _wal.Begin();
        var position = new EventPosition(message.Lsn, EventPosition.BeforeTransaction);
        if (!_pipeline.IsWritten(position))
        {
            await _pipeline.WriteAsync(new(message, position, message.Lsn, null), cancellationToken);
        }

        _wal.End(message.Lsn, _pipeline.LastOrdinal);
    }

    private TransactionSpool Spool(uint xid)
    {
        if (!_spools.TryGetValue(xid, out var spool))
        {
            _wal.Begin();
            _spools[xid] = spool = new(_spoolDirectory);
        }

        return spool;
    }

    private void Abort(WalMessage.StreamAbort abort)
    {
        if (!_spools.TryGetValue(abort.Xid, out var spool))
        {
            return;
        }

        if (abort.SubXid != abort.Xid)
        {
            spool.RollBack(abort.SubXid);
            return;
        }

        _spools.Remove(abort.Xid);
        spool.Dispose();
        _wal.Abandon();
    }

    private async ValueTask ReplayAsync(WalMessage.StreamCommit commit, CancellationToken cancellationToken)
    {
        if (!_spools.Remove(commit.Xid, out var spool))
        {
            throw new PgoutputException($"commit of transaction {commit.Xid}, which did not begin");
        }

        using (spool)
        {
            // A part that was rolled back has let its tables go, and they may have been altered since it described them.
            var newer = spool.DescribedSince.Select(_decoder.Find).ToArray();
            Begin(commit.Xid, commit.CommitLsn, commit.CommitTime);
            spool.Rewind();
            while (spool.TryRead(ref _buffer, out var lsn, out var message))
            {
                // A description holds for the whole transaction, wherever it was sent.
                if (WalDecoder.StreamedXid(message.Span) is not { } xid || !spool.IsRolledBack(xid) || message.Span[0] is (byte)'R' or (byte)'Y')
                {
                    await ChangeAsync(lsn, _decoder.Decode(message, streamed: true), cancellationToken);
                }
            }

            foreach (var relation in newer)
            {
                _decoder.Keep(relation);
            }
        }

        await CommitAsync(new(commit.CommitLsn, commit.EndLsn, commit.CommitTime), cancellationToken);
    }
}
