using System.Security.Cryptography;

namespace RuleEngineNats.IngestionTool.Input;

/// <summary>The file to load, or standard input.</summary>
internal sealed class InputFile(string path) : IAsyncDisposable
{
    public const string StandardInput = "-";

    private const int Compared = 1024 * 1024;

    private Stream _stream = Stream.Null;

    public string Path => path;

    /// <summary>Null where it cannot be known.</summary>
    public long? Length { get; private set; }

    public Stream Stream => _stream;

    public static bool IsStandardInput(string path) => path == StandardInput;

    public void Open()
    {
        try
        {
            _stream = IsStandardInput(path)
                ? Console.OpenStandardInput()
                : new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0, FileOptions.SequentialScan);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException(e.Message);
        }

        if (_stream.CanSeek)
        {
            Length = _stream.Length;
        }
        else
        {
            _stream = new Pipe(_stream);
        }
    }

    /// <summary>What tells this input from another: SHA-256 of its first MiB, and its length. It is read from the beginning after that.</summary>
    public async Task<string> ContentAsync(CancellationToken cancellationToken)
    {
        var begin = new byte[Compared];
        var read = await _stream.ReadAtLeastAsync(begin, begin.Length, throwOnEndOfStream: false, cancellationToken);
        if (_stream is Pipe pipe)
        {
            pipe.PutBack(begin.AsMemory(0, read));
        }
        else
        {
            _stream.Position = 0;
        }

        return $"{Convert.ToHexStringLower(SHA256.HashData(begin.AsSpan(0, read)))}:{Length?.ToString() ?? "?"}";
    }

    public ValueTask DisposeAsync() => _stream.DisposeAsync();

    /// <summary>A pipe whose reading can be given up, and which gives once more what was put back.</summary>
    private sealed class Pipe(Stream inner) : Stream
    {
        private ReadOnlyMemory<byte> _back;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public void PutBack(ReadOnlyMemory<byte> bytes) => _back = bytes;

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (_back.IsEmpty)
            {
                // The read of a pipe ends with the next write to it and not before.
                return await inner.ReadAsync(buffer, cancellationToken).AsTask().WaitAsync(cancellationToken);
            }

            var length = Math.Min(buffer.Length, _back.Length);
            _back[..length].CopyTo(buffer);
            _back = _back[length..];
            return length;
        }

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken)
            => ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
