using System.Buffers;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;

namespace NATS.Client.ObjectStore;

/// <summary>The buckets of one JetStream.</summary>
public class NatsObjContext : INatsObjContext
{
    private static readonly SearchValues<char> BucketCharacters = SearchValues.Create("-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz");

    public NatsObjContext(INatsJSContext context) => JetStreamContext = context;

    public INatsJSContext JetStreamContext { get; }

    public ValueTask<INatsObjStore> CreateObjectStoreAsync(string bucket, CancellationToken cancellationToken = default) =>
        CreateObjectStoreAsync(new NatsObjConfig(bucket), cancellationToken);

    public async ValueTask<INatsObjStore> CreateObjectStoreAsync(NatsObjConfig config, CancellationToken cancellationToken = default)
    {
        CheckBucketName(config.Bucket);
        var stream = await JetStreamContext.CreateStreamAsync(
            new StreamConfig(StreamOf(config.Bucket), [$"$O.{config.Bucket}.C.>", $"$O.{config.Bucket}.M.>"])
            {
                Description = config.Description,
                MaxAge = config.MaxAge ?? TimeSpan.Zero,
                MaxBytes = config.MaxBytes ?? -1,
                Storage = config.Storage == NatsObjStorageType.File ? StreamConfigStorage.File : StreamConfigStorage.Memory,
                NumReplicas = config.NumberOfReplicas,
                Placement = config.Placement,
                Discard = StreamConfigDiscard.New,
                AllowRollupHdrs = true,
                AllowDirect = true,
                Metadata = config.Metadata,
                Retention = StreamConfigRetention.Limits,
                Compression = config.Compression ? StreamConfigCompression.S2 : StreamConfigCompression.None,
            },
            cancellationToken).ConfigureAwait(false);
        return new NatsObjStore(config.Bucket, this, stream);
    }

    public async ValueTask<INatsObjStore> GetObjectStoreAsync(string bucket, CancellationToken cancellationToken = default)
    {
        CheckBucketName(bucket);
        return new NatsObjStore(bucket, this, await JetStreamContext.GetStreamAsync(StreamOf(bucket), cancellationToken: cancellationToken).ConfigureAwait(false));
    }

    public ValueTask<bool> DeleteObjectStore(string bucket, CancellationToken cancellationToken)
    {
        CheckBucketName(bucket);
        return JetStreamContext.DeleteStreamAsync(StreamOf(bucket), cancellationToken);
    }

    internal static string StreamOf(string bucket) => $"OBJ_{bucket}";

    private static void CheckBucketName(string bucket)
    {
        if (string.IsNullOrWhiteSpace(bucket))
        {
            throw new NatsObjException("Bucket name can't be empty");
        }

        if (bucket.AsSpan().ContainsAnyExcept(BucketCharacters))
        {
            throw new NatsObjException("Bucket name can only contain alphanumeric characters, dashes, and underscores");
        }
    }
}
