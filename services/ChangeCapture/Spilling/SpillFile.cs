using System.Buffers;
using System.Text;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;
using RuleEngineNats.ChangeCapture.Outputs;

namespace RuleEngineNats.ChangeCapture.Spilling;

/// <summary>The file of one replication session: appended to by it, and read meanwhile. A write that fails is tried again at its place; whoever reads does not see it before.</summary>
internal sealed partial class SpillFile : IDisposable
{
    private const int WriteAt = 64 * 1024;

    private readonly SpillFolder _folder;
    private readonly CaptureOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly ArrayBufferWriter<byte> _buffer = new(2 * WriteAt);
    private SafeFileHandle? _handle;
    private TaskCompletionSource _grown = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _bytes;
    private long _appended;
    private long _written;
    private long _synced;
    private volatile bool _isSealed;

    public SpillFile(string path, SpillFolder folder, SourceIdentity source, CaptureOptions options, TimeProvider time, ILogger logger)
    {
        (Path, _folder, _options, _time, _logger) = (path, folder, options, time, logger);
        SpillRecord.Write(_buffer, 0, Encoding.UTF8.GetBytes(source.ToString()));
    }

    public string Path { get; }

    /// <summary>Bytes of whole records that may be read. The file is there when there are any.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>The same with what waits to be written.</summary>
    public long AppendedBytes => Bytes + _buffer.WrittenCount;

    /// <summary>The number of records.</summary>
    public long Appended => Interlocked.Read(ref _appended);

    /// <summary>The number of the first record that is not safely on disk, from 1; <see cref="long.MaxValue"/> where there is none.</summary>
    public long FirstUnsynced => Interlocked.Read(ref _synced) is var synced && synced == Appended ? long.MaxValue : synced + 1;

    /// <summary>Nothing more is appended.</summary>
    public bool IsSealed => _isSealed;

    /// <summary>Ends when there is more to read than when it was asked for, or nothing more comes.</summary>
    public Task Grown => Volatile.Read(ref _grown).Task;

    public ValueTask AppendAsync(ulong lsn, ReadOnlySpan<byte> message, CancellationToken cancellationToken)
    {
        SpillRecord.Write(_buffer, lsn, message);
        Interlocked.Increment(ref _appended);
        return _buffer.WrittenCount >= WriteAt ? FlushAsync(cancellationToken) : ValueTask.CompletedTask;
    }

    public async ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        for (var failures = 1; _appended > _written; failures++)
        {
            try
            {
                Write();
                return;
            }
            catch (Exception exception) when (SpillException.IsRefusal(exception))
            {
                NoRoom(new SpillException(_folder.Directory, exception).Message);
            }

            await Task.Delay(_options.PauseAfter(failures), _time, cancellationToken);
        }
    }

    /// <summary>Stores what was flushed for good. Called beside the others.</summary>
    public void Sync()
    {
        var written = Interlocked.Read(ref _written);
        if (written == Interlocked.Read(ref _synced))
        {
            return;
        }

        try
        {
            RandomAccess.FlushToDisk(_handle!);
        }
        catch (IOException exception)
        {
            // What the system could not store it may have forgotten: the session begins again, with another file.
            throw new SpillException(_folder.Directory, exception);
        }

        Interlocked.Exchange(ref _synced, written);
    }

    /// <summary>What is not written yet comes again.</summary>
    public void Seal()
    {
        _isSealed = true;
        Grow();
    }

    public void Dispose() => _handle?.Dispose();

    private void Write()
    {
        _handle ??= File.OpenHandle(Path, FileMode.CreateNew, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete);
        RandomAccess.Write(_handle, _buffer.WrittenSpan, _bytes);
        Interlocked.Add(ref _bytes, _buffer.WrittenCount);
        _buffer.ResetWrittenCount();
        Interlocked.Exchange(ref _written, _appended);
        Grow();
    }

    private void Grow() => Interlocked.Exchange(ref _grown, new(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();

    [LoggerMessage(Level = LogLevel.Error, Message = "{Reason}; nothing is lost, trying again")]
    private partial void NoRoom(string reason);
}
