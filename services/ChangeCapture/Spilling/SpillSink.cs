using Microsoft.Extensions.Logging;
using RuleEngineNats.ChangeCapture.Pgoutput;
using RuleEngineNats.ChangeCapture.Replication;

namespace RuleEngineNats.ChangeCapture.Spilling;

/// <summary>Into a file: the slot is confirmed as far as this has whole transactions on disk.</summary>
/// <param name="room">Bytes that the file may have.</param>
internal sealed partial class SpillSink(SpillFile file, long room, CaptureOptions options, TimeProvider time, ILogger logger) : IWalSink
{
    // Of records instead of events. A snapshot that holds back the slot does not hold back this.
    private readonly ConfirmedWal _wal = new();
    private readonly WalDecoder _decoder = new(_ => { });
    private readonly HashSet<uint> _streamed = [];
    private bool _streaming;

    /// <summary>How far the slot was confirmed.</summary>
    public ulong Confirmed { get; private set; }

    public async ValueTask HandleAsync(ulong lsn, ReadOnlyMemory<byte> message, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (file.AppendedBytes + SpillRecord.HeaderBytes + message.Length > room)
        {
            // Until the outputs have what is there: then the session ends, and what it did not take comes again.
            Full(options.Slot, options.WalSpillLimit);
            await file.FlushAsync(cancellationToken);
            await Task.Delay(Timeout.InfiniteTimeSpan, time, cancellationToken);
        }

        await file.AppendAsync(lsn, message.Span, cancellationToken);
        Track(message);
    }

    public ValueTask FlushAsync(CancellationToken cancellationToken) => file.FlushAsync(cancellationToken);

    public ValueTask<ulong> SyncAsync(ulong received, CancellationToken cancellationToken)
    {
        file.Sync();
        return ValueTask.FromResult(Confirmed = _wal.Advance(received, () => file.FirstUnsynced));
    }

    public Task DrainAsync(CancellationToken cancellationToken) => file.FlushAsync(cancellationToken).AsTask();

    // The bounds of transactions alone: rows are not decoded here. Behind the append, so that no end counts as stored before its record.
    private void Track(ReadOnlyMemory<byte> message)
    {
        var kind = (char)message.Span[0];
        if (_streaming ? kind != 'E' : kind is not ('B' or 'C' or 'S' or 'c' or 'A' or 'M'))
        {
            return;
        }

        switch (_decoder.Decode(message, streamed: false))
        {
            case WalMessage.Begin:
                _wal.Begin();
                break;
            case WalMessage.Commit commit:
                _wal.End(commit.EndLsn, file.Appended);
                break;
            case WalMessage.StreamStart start:
                _streaming = true;
                if (_streamed.Add(start.Xid))
                {
                    _wal.Begin();
                }

                break;
            case WalMessage.StreamStop:
                _streaming = false;
                break;
            case WalMessage.StreamAbort abort when abort.Xid == abort.SubXid && _streamed.Remove(abort.Xid):
                _wal.Abandon();
                break;
            case WalMessage.StreamCommit commit when _streamed.Remove(commit.Xid):
                _wal.End(commit.EndLsn, file.Appended);
                break;
            case WalMessage.Logical { Transactional: false } logical:
                _wal.Begin();
                _wal.End(logical.Lsn, file.Appended);
                break;
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "slot {Slot} has {Limit} bytes on disk (WalSpillLimit, --wal-spill-limit): PostgreSQL keeps the WAL again until the outputs have them")]
    private partial void Full(string slot, long limit);
}
