using System.Buffers;
using Microsoft.Win32.SafeHandles;
using RuleEngineNats.ChangeCapture.Formats;

namespace RuleEngineNats.ChangeCapture.Outputs;

/// <summary>Standard output, or a file that is appended to: one event a line, or as the format has it.</summary>
internal sealed class LineOutput : ChangeOutput
{
    private const int StandardOutputDescriptor = 1;
    private const int FlushAt = 64 * 1024;

    private readonly Stream _stream;
    private readonly string _name;
    private readonly bool _onDisk;
    private readonly ArrayBufferWriter<byte> _buffer = new(2 * FlushAt);
    private readonly SemaphoreSlim _syncing = new(1, 1);
    private long _taken;
    private long _sent;
    private long _settled;

    private LineOutput(Stream stream, string name, bool onDisk, EventFormat format)
        => (_stream, _name, _onDisk, Format) = (stream, name, onDisk, format);

    public override EventFormat Format { get; }

    // Whoever writes sees a failure.
    public override Task Completion { get; } = new TaskCompletionSource().Task;

    public override long FirstUnsettled => Interlocked.Read(ref _settled) is var settled && settled == Interlocked.Read(ref _taken) ? long.MaxValue : settled + 1;

    // Not the console's own stream, which drops without a word what a closed pipe does not take.
    public static LineOutput ToStandardOutput(EventFormat format)
        => new(new FileStream(new SafeFileHandle(StandardOutputDescriptor, ownsHandle: false), FileAccess.Write, bufferSize: 0), "standard output", onDisk: false, format);

    /// <param name="option">The option that names the file.</param>
    public static LineOutput ToFile(string option, string path, EventFormat format)
    {
        try
        {
            var file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read, bufferSize: 0);
            CutIncomplete(file, format.Framing);
            return new(file, path, onDisk: true, format);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            throw new CaptureException($"{option}: {path} cannot be written: {exception.Message}", exception);
        }
    }

    public override Task OpenAsync(SourceIdentity source, CancellationToken cancellationToken) => Task.CompletedTask;

    public override ValueTask WriteAsync(OutgoingEvent outgoing, CancellationToken cancellationToken)
    {
        Interlocked.Exchange(ref _taken, outgoing.Ordinal);
        Format.Framing.Write(_buffer, outgoing.Body);
        return _buffer.WrittenCount >= FlushAt ? FlushAsync(cancellationToken) : ValueTask.CompletedTask;
    }

    public override async ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        if (_buffer.WrittenCount == 0)
        {
            return;
        }

        try
        {
            await _stream.WriteAsync(_buffer.WrittenMemory, cancellationToken);
        }
        catch (IOException exception)
        {
            throw new CaptureException($"{_name} cannot be written: {exception.Message}", exception);
        }

        _buffer.ResetWrittenCount();
        Interlocked.Exchange(ref _sent, _taken);
        if (!_onDisk)
        {
            Interlocked.Exchange(ref _settled, _sent);
        }
    }

    public override async ValueTask SyncAsync(CancellationToken cancellationToken)
    {
        if (!_onDisk)
        {
            return;
        }

        await _syncing.WaitAsync(cancellationToken);
        try
        {
            var sent = Interlocked.Read(ref _sent);
            if (sent > _settled)
            {
                RandomAccess.FlushToDisk(((FileStream)_stream).SafeFileHandle);
                Interlocked.Exchange(ref _settled, sent);
            }
        }
        catch (IOException exception)
        {
            throw new CaptureException($"{_name} cannot be stored: {exception.Message}", exception);
        }
        finally
        {
            _syncing.Release();
        }
    }

    public override async ValueTask DisposeAsync()
    {
        await _stream.DisposeAsync();
        _syncing.Dispose();
    }

    // A crash may have left a part of an event. It was not confirmed, and comes again.
    private static void CutIncomplete(FileStream file, Framing framing)
    {
        file.SetLength(framing.WholeBytes(file));
        file.Seek(0, SeekOrigin.End);
    }
}
