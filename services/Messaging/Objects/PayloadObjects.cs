using System.Security.Cryptography;
using Microsoft.Extensions.Options;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using NATS.Client.ObjectStore;
using NATS.Client.ObjectStore.Models;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.Messaging;

/// <summary>
/// The bodies that are too large for a message, in the Object Store bucket <see cref="StreamNames.PayloadBucket"/>. Publishers put an object before the event that
/// refers to it; readers get it. Nobody deletes one, since events with the same body share it: the bucket's <c>max_age</c> does.
/// <code>
/// age of an object    0          1 day          max_age of the longest-kept stream + 2 days
///                     |- shared -|- put anew ---|- gone
/// </code>
/// An event refers to an object of at most a day, so the object outlives the event by a day.
/// </summary>
public sealed class PayloadObjects(NatsConnections connections, IOptions<MessagingOptions> options, TimeProvider time) : IDisposable
{
    /// <summary>From here on a body counts as large: no more than a few of them are held at once.</summary>
    public const int LargeBytes = StreamShape.MaxMessageBytes - HeaderBytes;

    /// <summary>The limits of a message include its headers and those of the protocol: 8 KiB of the publisher's, and ours.</summary>
    private const int HeaderBytes = 16 * 1024;

    private const int ChunkBytes = 128 * 1024;
    private const int ChunkHeaderBytes = 1024;
    private const int SmallestChunkBytes = 1024;
    private const int DefaultMaxPayload = 1024 * 1024;

    private static readonly TimeSpan SharedFor = TimeSpan.FromDays(1);

    private readonly MessagingOptions _options = options.Value;
    private readonly SemaphoreSlim _large = new(options.Value.LargePayloads);

    /// <summary>
    /// Whether a body is too large for a message to the servers of a configuration: it has no more than <c>max_payload</c> and 512 KiB, less 16 KiB for headers. As long as
    /// there was no connection <c>max_payload</c> is taken for 1 MiB; the publisher looks again.
    /// </summary>
    public bool IsNeeded(string config, int bytes) => bytes > SmallestChunkBytes && IsNeeded(connections.Get(config).Server, bytes);

    internal static bool IsNeeded(PoolConnection connection, int bytes) => bytes > SmallestChunkBytes && IsNeeded(connection.Connection.ServerInfo, bytes);

    private static bool IsNeeded(INatsServerInfo? server, int bytes) => bytes > Math.Min(server?.MaxPayload ?? DefaultMaxPayload, StreamShape.MaxMessageBytes) - HeaderBytes;

    /// <summary>Waits until another large body may be held; dispose of the result when it is no longer.</summary>
    public async ValueTask<Place> EnterAsync(CancellationToken cancellationToken)
    {
        await _large.WaitAsync(cancellationToken);
        return new(_large);
    }

    /// <summary>
    /// Puts the body of an event into the Object Store unless it is there already, recent enough and whole. Publishing the event then sends the reference alone and
    /// takes its turn at once.
    /// </summary>
    /// <param name="message">The event.</param>
    /// <param name="cancellationToken">Gives up. It takes at most <see cref="MessagingOptions.ObjectTimeout"/>.</param>
    /// <returns>The event to publish and null; else the event as it was and why its body is not there, for now or (<see cref="RefusalReason.TooLarge"/>) for good.</returns>
    public async ValueTask<(EventMessage Message, PublishOutcome? Failed)> PutAsync(EventMessage message, CancellationToken cancellationToken)
    {
        if (message.Body.Length > PayloadRules.MaxBytes)
        {
            return (message, new PublishOutcome.Refused(
                RefusalReason.TooLarge, $"payload: {message.Body.Length} bytes, at most {PayloadRules.MaxBytes}; publish a reference to the data instead"));
        }

        var sha256 = EventHeaderSet.Hash(message);
        return await PutAsync(message.Config, message.Body, sha256, cancellationToken) is { } failed
            ? (message, failed)
            : (message with { BodyObject = new(sha256, message.Body.Length), BodySha256 = Convert.FromHexString(sha256) }, null);
    }

    private async ValueTask<PublishOutcome?> PutAsync(string config, ReadOnlyMemory<byte> body, string sha256, CancellationToken cancellationToken)
    {
        if (connections.WhyNot(config) is { } reason)
        {
            return new PublishOutcome.Unavailable(UnavailableReason.Disconnected, reason);
        }

        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(_options.ObjectTimeout);
        try
        {
            using var place = await EnterAsync(limit.Token);
            var pool = connections.Get(config);
            using var use = pool.Begin();
            await pool.WaitUntilHealthyAsync(limit.Token);
            var store = await new NatsObjContext(new NatsJSContext(pool.Next())).GetObjectStoreAsync(StreamNames.PayloadBucket, limit.Token);
            if (await FindAsync(store, sha256, limit.Token) is not { } info || !IsShared(info, body.Length) || !await IsWholeAsync(store, info, limit.Token))
            {
                await PutAsync(store, sha256, body, MaxPayload(pool), limit.Token);
            }

            return null;
        }
        catch (NatsJSApiException exception)
        {
            return Unavailable(exception);
        }
        catch (NatsException exception)
        {
            return new PublishOutcome.Unavailable(UnavailableReason.ServerError, $"the payload could not be put into the Object Store: {exception.Message}");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return new PublishOutcome.Unavailable(
                UnavailableReason.ServerError, $"the payload could not be put into the Object Store within {_options.ObjectTimeout.TotalSeconds} s (Messaging:ObjectTimeout)");
        }
    }

    /// <summary>Reads a body and checks its hash.</summary>
    /// <param name="connection">A connection to the server that has the event.</param>
    /// <param name="reference">Which.</param>
    /// <param name="cancellationToken">Gives up. It takes at most <see cref="MessagingOptions.ObjectTimeout"/>.</param>
    /// <exception cref="PayloadMissingException">It is not there, or it is not what it was: another try will not find it either.</exception>
    /// <exception cref="NatsException">The server could not be asked.</exception>
    /// <exception cref="TimeoutException">It took too long.</exception>
    public async Task<byte[]> GetAsync(INatsConnection connection, PayloadObject reference, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(_options.ObjectTimeout);
        try
        {
            var store = await new NatsObjContext(new NatsJSContext(connection)).GetObjectStoreAsync(StreamNames.PayloadBucket, limit.Token);
            var info = await store.GetInfoAsync(reference.Sha256, cancellationToken: limit.Token);
            // The driver waits for chunks that are not there until it is told to stop.
            if (info.Size > PayloadRules.MaxBytes || !await IsWholeAsync(store, info, limit.Token))
            {
                throw new PayloadMissingException("the object is damaged");
            }

            using var bytes = new MemoryStream((int)info.Size);
            await store.GetAsync(reference.Sha256, bytes, leaveOpen: true, limit.Token);
            var body = bytes.Capacity == bytes.Length ? bytes.GetBuffer() : bytes.ToArray();
            return Convert.ToHexStringLower(SHA256.HashData(body)) == reference.Sha256 ? body : throw new PayloadMissingException("the object is damaged");
        }
        catch (NatsObjNotFoundException)
        {
            throw new PayloadMissingException("the object is gone");
        }
        catch (NatsObjException exception)
        {
            throw new PayloadMissingException($"the object is damaged: {exception.Message}");
        }
        catch (NatsJSApiException exception) when (exception.Error.Code == 404)
        {
            throw new PayloadMissingException($"the bucket {StreamNames.PayloadBucket} does not exist");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException($"the object could not be read within {_options.ObjectTimeout.TotalSeconds} s (Messaging:ObjectTimeout)");
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _large.Dispose();

    private static int MaxPayload(NatsConnectionPool pool) => pool.Server?.MaxPayload is > 0 and var bytes ? bytes : DefaultMaxPayload;

    private bool IsShared(ObjectMetadata info, int size) => info.Size == (ulong)size && time.GetUtcNow() - info.MTime < SharedFor;

    private static async ValueTask<ObjectMetadata?> FindAsync(INatsObjStore store, string name, CancellationToken cancellationToken)
    {
        try
        {
            return await store.GetInfoAsync(name, cancellationToken: cancellationToken);
        }
        catch (NatsObjNotFoundException)
        {
            return null;
        }
    }

    // A server that lost power may have the description and not all chunks.
    private static async ValueTask<bool> IsWholeAsync(INatsObjStore store, ObjectMetadata info, CancellationToken cancellationToken)
    {
        var chunks = $"$O.{store.Bucket}.C.{info.Nuid}";
        var stream = await store.JetStreamContext.GetStreamAsync($"OBJ_{store.Bucket}", new StreamInfoRequest { SubjectsFilter = chunks }, cancellationToken);
        return stream.Info.State.Subjects is { } subjects && subjects.TryGetValue(chunks, out var messages) && messages >= info.Chunks;
    }

    private static async Task PutAsync(INatsObjStore store, string name, ReadOnlyMemory<byte> body, int maxPayload, CancellationToken cancellationToken)
    {
        var meta = new ObjectMetadata
        {
            Name = name,
            Options = new MetaDataOptions { MaxChunkSize = Math.Max(Math.Min(ChunkBytes, maxPayload - ChunkHeaderBytes), SmallestChunkBytes) },
        };
        using var bytes = System.Runtime.InteropServices.MemoryMarshal.TryGetArray(body, out var segment)
            ? new MemoryStream(segment.Array!, segment.Offset, segment.Count, writable: false)
            : new MemoryStream(body.ToArray(), writable: false);
        await store.PutAsync(meta, bytes, cancellationToken: cancellationToken);
    }

    private static PublishOutcome.Unavailable Unavailable(NatsJSApiException exception) => exception.Error switch
    {
        { Code: 404 } => new(UnavailableReason.NoStream, $"the payload is too large for a message, and the bucket {StreamNames.PayloadBucket} does not exist; ConfigService makes it"),
        { ErrCode: 10077 or 10023 or 10047 } error => new(UnavailableReason.StreamFull, $"bucket {StreamNames.PayloadBucket}: {error.Description} ({error.ErrCode})"),
        var error => new(UnavailableReason.ServerError, $"bucket {StreamNames.PayloadBucket}: {error.Description} ({error.ErrCode})"),
    };

    /// <summary>The right to hold a large body; ends with its disposal, which happens once.</summary>
    public readonly struct Place : IDisposable
    {
        private readonly SemaphoreSlim? _large;

        internal Place(SemaphoreSlim large) => _large = large;

        /// <inheritdoc/>
        public void Dispose() => _large?.Release();
    }
}

/// <summary>The body of an event is in the Object Store no more, and nowhere else.</summary>
public sealed class PayloadMissingException(string reason) : Exception(reason);
