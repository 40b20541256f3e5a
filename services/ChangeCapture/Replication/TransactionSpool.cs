using System.Buffers.Binary;

namespace RuleEngineNats.ChangeCapture.Replication;

/// <summary>
/// The changes of a transaction that the server sends before it has committed, in a file: whether, and at which commit, they are events is known
/// at its end. The file has no name, so that nothing is left of it however the process ends.
/// </summary>
internal sealed class TransactionSpool : IDisposable
{
    private const int HeaderBytes = sizeof(int) + sizeof(ulong);

    private readonly FileStream _file;
    private readonly HashSet<uint> _rolledBack = [];

    public TransactionSpool(string directory)
    {
        var path = Path.Combine(directory, $"pgoutput-stream-{Guid.NewGuid():N}.spool");
        try
        {
            _file = new(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.Delete, bufferSize: 64 * 1024, FileOptions.DeleteOnClose);
            File.Delete(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new CaptureException($"SpoolDirectory: {directory} cannot be written: {exception.Message}", exception);
        }
    }

    public void Append(ulong lsn, ReadOnlySpan<byte> message)
    {
        Span<byte> header = stackalloc byte[HeaderBytes];
        BinaryPrimitives.WriteInt32LittleEndian(header, message.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(header[sizeof(int)..], lsn);
        _file.Write(header);
        _file.Write(message);
    }

    /// <summary>A subtransaction was rolled back: its changes never happened.</summary>
    public void RollBack(uint subXid) => _rolledBack.Add(subXid);

    public bool IsRolledBack(uint xid) => _rolledBack.Contains(xid);

    public void Rewind() => _file.Position = 0;

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

    public void Dispose() => _file.Dispose();
}
