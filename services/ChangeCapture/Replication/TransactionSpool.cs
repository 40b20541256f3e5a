using System.Buffers.Binary;

namespace RuleEngineNats.ChangeCapture.Replication;

/// <summary>
/// The changes of a transaction that the server sends before it has committed, in a file: whether, and at which commit, they are events is known
/// at its end. The file has no name, so that nothing is left of it however the process ends.
/// </summary>
internal sealed class TransactionSpool : IDisposable
{
    private const int HeaderBytes = sizeof(int) + sizeof(ulong);

    private readonly string _directory;
    private readonly FileStream _file;
    private readonly HashSet<uint> _rolledBack = [];

    public TransactionSpool(string directory)
    {
        _directory = directory;
        var path = Path.Combine(directory, $"pgoutput-stream-{Guid.NewGuid():N}.spool");
        try
        {
            _file = new(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.Delete, bufferSize: 64 * 1024, FileOptions.DeleteOnClose);
            File.Delete(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new SpoolException(directory, exception);
        }
    }

    /// <summary>Ends the capture before it begins where the folder is not one to write to.</summary>
    public static void Check(string directory)
    {
        try
        {
            new TransactionSpool(directory).Dispose();
        }
        catch (SpoolException exception)
        {
            throw new CaptureException($"SpoolDirectory: {directory} cannot be written: {exception.InnerException!.Message}", exception);
        }
    }

    public void Append(ulong lsn, ReadOnlySpan<byte> message)
    {
        Span<byte> header = stackalloc byte[HeaderBytes];
        BinaryPrimitives.WriteInt32LittleEndian(header, message.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(header[sizeof(int)..], lsn);
        try
        {
            _file.Write(header);
            _file.Write(message);
        }
        catch (Exception exception) when (IsNoRoom(exception))
        {
            throw new SpoolException(_directory, exception);
        }
    }

    /// <summary>Tables that were described outside of it after it described them itself.</summary>
    public HashSet<uint> DescribedSince { get; } = [];

    /// <summary>A subtransaction was rolled back: its changes never happened.</summary>
    public void RollBack(uint subXid) => _rolledBack.Add(subXid);

    public bool IsRolledBack(uint xid) => _rolledBack.Contains(xid);

    public void Rewind()
    {
        try
        {
            _file.Position = 0;
        }
        catch (Exception exception) when (IsNoRoom(exception))
        {
            throw new SpoolException(_directory, exception);
        }
    }

    /// <summary>The next message, in a buffer that is used again.</summary>
    /// <returns>False at the end.</returns>
    public bool TryRead(ref byte[] buffer, out ulong lsn, out ReadOnlyMemory<byte> message)
    {
        Span<byte> header = stackalloc byte[HeaderBytes];
        (lsn, message) = (0, default);
        if (_file.ReadAtLeast(header, HeaderBytes, throwOnEndOfStream: false) == 0)
        {
            return false;
        }

        var length = BinaryPrimitives.ReadInt32LittleEndian(header);
        lsn = BinaryPrimitives.ReadUInt64LittleEndian(header[sizeof(int)..]);
        if (buffer.Length < length)
        {
            buffer = new byte[Math.Max(length, 2 * buffer.Length)];
        }

        _file.ReadExactly(buffer, 0, length);
        message = buffer.AsMemory(0, length);
        return true;
    }

    public void Dispose()
    {
        try
        {
            _file.Dispose();
        }
        catch (Exception exception) when (IsNoRoom(exception))
        {
            // It writes before it closes; what finds no room is not needed any more.
        }
    }

    // The latter is what the framework makes of a file larger than its file system, or the process (ulimit -f), allows.
    private static bool IsNoRoom(Exception exception) => exception is IOException or ArgumentOutOfRangeException;
}

/// <summary>A transaction finds no room to wait for its commit. The server sends it again.</summary>
internal sealed class SpoolException(string directory, Exception inner) : IOException(
    $"SpoolDirectory (--spool-directory): {directory} does not take a transaction that has not committed yet: {inner.Message}; make room there, or name a folder that has more", inner);
