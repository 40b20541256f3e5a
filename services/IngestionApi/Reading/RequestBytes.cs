using System.Buffers;
using System.IO.Compression;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Http.Features;

namespace RuleEngineNats.IngestionApi.Reading;

/// <summary>The bytes of a body, decompressed where it says that it is compressed.</summary>
internal readonly struct RequestBytes : IAsyncDisposable
{
    private const int BufferSize = 16 * 1024;

    private readonly bool _isOurs;

    private RequestBytes(PipeReader reader, bool isOurs) => (Reader, _isOurs) = (reader, isOurs);

    public PipeReader Reader { get; }

    /// <param name="request">The request.</param>
    /// <param name="isGzip">Whether its body is compressed; Kestrel bounds what comes in then, and whoever reads what comes out.</param>
    /// <param name="limit">Most bytes that will be read of it.</param>
    public static RequestBytes Open(HttpRequest request, bool isGzip, int limit)
    {
        if (isGzip)
        {
            return new(PipeReader.Create(new GZipStream(request.Body, CompressionMode.Decompress), new StreamPipeReaderOptions(bufferSize: BufferSize)), isOurs: true);
        }

        if (!(request.ContentLength <= limit) && request.HttpContext.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } kestrel)
        {
            // Who reads stops at the limit. Above its own, Kestrel would cut the connection before the client has seen why; so it waits some seconds for the end of the body.
            kestrel.MaxRequestBodySize = null;
        }

        return new(request.BodyReader, isOurs: false);
    }

    public ValueTask DisposeAsync() => _isOurs ? Reader.CompleteAsync() : ValueTask.CompletedTask;
}

/// <summary>Bytes in one piece: those of the pipe where they are, and else a copy that is given back.</summary>
internal readonly struct OnePiece : IDisposable
{
    private readonly byte[]? _rented;

    private OnePiece(ReadOnlyMemory<byte> bytes, byte[]? rented) => (Bytes, _rented) = (bytes, rented);

    public ReadOnlyMemory<byte> Bytes { get; }

    public static OnePiece Of(in ReadOnlySequence<byte> bytes)
    {
        if (bytes.IsSingleSegment)
        {
            return new(bytes.First, null);
        }

        var length = (int)bytes.Length;
        var rented = ArrayPool<byte>.Shared.Rent(length);
        bytes.CopyTo(rented);
        return new(rented.AsMemory(0, length), rented);
    }

    public void Dispose()
    {
        if (_rented is not null)
        {
            ArrayPool<byte>.Shared.Return(_rented);
        }
    }
}
