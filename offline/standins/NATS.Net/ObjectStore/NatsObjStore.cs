using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using NATS.Client.ObjectStore.Models;

namespace NATS.Client.ObjectStore;

/// <summary>
/// One bucket. An object is a row of chunks on a subject of its own, and one message that describes it:
/// <code>
/// $O.bucket.C.nuid            chunk, chunk, chunk (128 KiB each unless the metadata says otherwise)
/// $O.bucket.M.base64url(name) {"name":..,"nuid":..,"size":..,"chunks":..,"digest":"SHA-256=.."}, rolled up: the last one counts
/// </code>
/// </summary>
public class NatsObjStore : INatsObjStore
{
    private const int DefaultChunkSize = 128 * 1024;
    private const string DigestPrefix = "SHA-256=";

    // A second attempt could store a chunk twice.
    private static readonly NatsJSPubOpts Once = new() { RetryAttempts = 1 };

    private readonly NatsObjContext _context;
    private readonly INatsJSStream _stream;

    internal NatsObjStore(string bucket, NatsObjContext context, INatsJSStream stream)
    {
        Bucket = bucket;
        _context = context;
        _stream = stream;
    }

    public INatsJSContext JetStreamContext => _context.JetStreamContext;

    public string Bucket { get; }

    public async ValueTask<byte[]> GetBytesAsync(string key, CancellationToken cancellationToken = default)
    {
        using var bytes = new MemoryStream();
        await GetAsync(key, bytes, cancellationToken: cancellationToken).ConfigureAwait(false);
        return bytes.ToArray();
    }

    /// <summary>As in the genuine one, an object whose chunks are gone is waited for until the token ends it.</summary>
    public async ValueTask<ObjectMetadata> GetAsync(string key, Stream stream, bool leaveOpen = false, CancellationToken cancellationToken = default)
    {
        CheckObjectName(key);
        var info = await GetInfoAsync(key, cancellationToken: cancellationToken).ConfigureAwait(false);
        if (info.Options?.Link is { } link)
        {
            var store = await _context.GetObjectStoreAsync(link.Bucket, cancellationToken).ConfigureAwait(false);
            return await store.GetAsync(link.Name, stream, leaveOpen, cancellationToken).ConfigureAwait(false);
        }

        if (info.Nuid is null)
        {
            throw new NatsObjException("Object-store meta information invalid");
        }

        using var sha256 = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        try
        {
            var (chunks, size) = await CopyChunksAsync(info.Nuid, stream, sha256, cancellationToken).ConfigureAwait(false);
            Check(info, DigestOf(sha256), chunks, size);
        }
        finally
        {
            if (!leaveOpen)
            {
                await stream.DisposeAsync().ConfigureAwait(false);
            }
        }

        return info;
    }

    public ValueTask<ObjectMetadata> PutAsync(string key, byte[] value, CancellationToken cancellationToken = default) =>
        PutAsync(new ObjectMetadata { Name = key }, new MemoryStream(value), cancellationToken: cancellationToken);

    public ValueTask<ObjectMetadata> PutAsync(string key, Stream stream, bool leaveOpen = false, CancellationToken cancellationToken = default) =>
        PutAsync(new ObjectMetadata { Name = key }, stream, leaveOpen, cancellationToken);

    public async ValueTask<ObjectMetadata> PutAsync(ObjectMetadata meta, Stream stream, bool leaveOpen = false, CancellationToken cancellationToken = default)
    {
        CheckObjectName(meta.Name);
        var before = await FindAsync(meta.Name, cancellationToken).ConfigureAwait(false);
        meta.Bucket = Bucket;
        meta.Nuid = Nuid.NewNuid();
        meta.MTime = TimeProvider.System.GetUtcNow();
        meta.Options ??= new MetaDataOptions();
        meta.Options.MaxChunkSize = meta.Options.MaxChunkSize is > 0 and var given ? given : DefaultChunkSize;
        using var sha256 = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        try
        {
            (meta.Chunks, meta.Size) = await PublishChunksAsync(meta.Nuid, stream, meta.Options.MaxChunkSize.Value, sha256, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            if (!leaveOpen)
            {
                await stream.DisposeAsync().ConfigureAwait(false);
            }
        }

        meta.Digest = DigestOf(sha256);
        await PublishMetaAsync(meta, cancellationToken).ConfigureAwait(false);
        if (before?.Nuid is { } old && old != meta.Nuid)
        {
            await PurgeChunksAsync(old, cancellationToken).ConfigureAwait(false);
        }

        return meta;
    }

    public async ValueTask<ObjectMetadata> GetInfoAsync(string key, bool showDeleted = false, CancellationToken cancellationToken = default)
    {
        CheckObjectName(key);
        StoredMessage message;
        try
        {
            message = (await _stream.GetAsync(new StreamMsgGetRequest { LastBySubj = MetaSubject(key) }, cancellationToken).ConfigureAwait(false)).Message;
        }
        catch (NatsJSApiException e) when (e.Error.Code == 404)
        {
            throw new NatsObjNotFoundException($"Object not found: {key}");
        }

        if (message.Data.IsEmpty)
        {
            throw new NatsObjException("Can't decode data message value");
        }

        var info = JsonSerializer.Deserialize(message.Data.Span, ObjectStoreJson.Default.ObjectMetadata) ?? throw new NatsObjException("Can't deserialize object metadata");
        info.MTime = message.Time;
        return showDeleted || !info.Deleted ? info : throw new NatsObjNotFoundException($"Object not found: {key}");
    }

    public async ValueTask DeleteAsync(string key, CancellationToken cancellationToken = default)
    {
        CheckObjectName(key);
        var meta = await GetInfoAsync(key, showDeleted: true, cancellationToken).ConfigureAwait(false);
        if (string.IsNullOrEmpty(meta.Nuid))
        {
            throw new NatsObjException("Object-store meta information invalid");
        }

        meta.Size = 0;
        meta.Chunks = 0;
        meta.Digest = string.Empty;
        meta.Deleted = true;
        meta.MTime = TimeProvider.System.GetUtcNow();
        await PublishMetaAsync(meta, cancellationToken).ConfigureAwait(false);
        var purged = await _stream.PurgeAsync(new StreamPurgeRequest { Filter = ChunkSubject(meta.Nuid) }, cancellationToken).ConfigureAwait(false);
        if (!purged.Success)
        {
            throw new NatsObjException("Can't purge object chunks");
        }
    }

    private static void CheckObjectName(string name)
    {
        if (string.IsNullOrWhiteSpace(name))
        {
            throw new NatsObjException("Object name can't be empty");
        }
    }

    private static void Check(ObjectMetadata info, string digest, uint chunks, ulong size)
    {
        if (digest != info.Digest)
        {
            throw new NatsObjException("SHA-256 digest mismatch");
        }

        if (chunks != info.Chunks)
        {
            throw new NatsObjException("Chunks mismatch");
        }

        if (size != info.Size)
        {
            throw new NatsObjException("Size mismatch");
        }
    }

    // The server's own alphabet for both, with the padding.
    private static string Base64Url(ReadOnlySpan<byte> bytes) => Convert.ToBase64String(bytes).Replace('+', '-').Replace('/', '_');

    private static string DigestOf(IncrementalHash hash) => DigestPrefix + Base64Url(hash.GetHashAndReset());

    private string MetaSubject(string key) => $"$O.{Bucket}.M.{Base64Url(Encoding.UTF8.GetBytes(key))}";

    private string ChunkSubject(string nuid) => $"$O.{Bucket}.C.{nuid}";

    private async ValueTask<ObjectMetadata?> FindAsync(string key, CancellationToken cancellationToken)
    {
        try
        {
            return await GetInfoAsync(key, cancellationToken: cancellationToken).ConfigureAwait(false);
        }
        catch (NatsObjNotFoundException)
        {
            return null;
        }
    }

    private async Task<(uint Chunks, ulong Size)> CopyChunksAsync(string nuid, Stream stream, IncrementalHash sha256, CancellationToken cancellationToken)
    {
        var (chunks, size) = (0u, 0UL);
        var consumer = await JetStreamContext.CreateOrderedConsumerAsync(
            NatsObjContext.StreamOf(Bucket), new NatsJSOrderedConsumerOpts { FilterSubjects = [ChunkSubject(nuid)] }, cancellationToken).ConfigureAwait(false);
        await foreach (var message in consumer.ConsumeAsync<byte[]>(opts: new NatsJSConsumeOpts { MaxMsgs = 32 }, cancellationToken: cancellationToken).ConfigureAwait(false))
        {
            if (message.Data is { Length: > 0 } chunk)
            {
                chunks++;
                size += (ulong)chunk.Length;
                sha256.AppendData(chunk);
                await stream.WriteAsync(chunk, cancellationToken).ConfigureAwait(false);
            }

            if (message.Metadata?.NumPending is 0)
            {
                break;
            }
        }

        cancellationToken.ThrowIfCancellationRequested();
        return (chunks, size);
    }

    // An object whose size is a multiple of the chunk's ends with an empty chunk, which does not count.
    private async Task<(uint Chunks, ulong Size)> PublishChunksAsync(string nuid, Stream stream, int chunkSize, IncrementalHash sha256, CancellationToken cancellationToken)
    {
        var (chunks, size) = (0u, 0UL);
        using var buffer = NatsMemoryOwner<byte>.Allocate(chunkSize);
        for (var read = chunkSize; read == chunkSize;)
        {
            read = await stream.ReadAtLeastAsync(buffer.Memory, chunkSize, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
            var chunk = buffer.Memory[..read];
            if (read > 0)
            {
                chunks++;
                size += (ulong)read;
                sha256.AppendData(chunk.Span);
            }

            var ack = await JetStreamContext.PublishAsync(ChunkSubject(nuid), chunk, NatsRawSerializer<Memory<byte>>.Default, Once, cancellationToken: cancellationToken).ConfigureAwait(false);
            ack.EnsureSuccess();
        }

        return (chunks, size);
    }

    private async Task PublishMetaAsync(ObjectMetadata meta, CancellationToken cancellationToken)
    {
        var ack = await JetStreamContext.PublishAsync(
            MetaSubject(meta.Name),
            JsonSerializer.SerializeToUtf8Bytes(meta, ObjectStoreJson.Default.ObjectMetadata),
            NatsRawSerializer<byte[]>.Default,
            Once,
            new NatsHeaders { { "Nats-Rollup", "sub" } },
            cancellationToken).ConfigureAwait(false);
        ack.EnsureSuccess();
    }

    private async Task PurgeChunksAsync(string nuid, CancellationToken cancellationToken)
    {
        try
        {
            await _stream.PurgeAsync(new StreamPurgeRequest { Filter = ChunkSubject(nuid) }, cancellationToken).ConfigureAwait(false);
        }
        catch (NatsJSApiException e) when (e.Error.Code == 404)
        {
            // They are gone already.
        }
    }
}
