using NATS.Client.JetStream.Models;

namespace NATS.Client.ObjectStore;

public enum NatsObjStorageType
{
    File = 0,
    Memory = 1,
}

/// <summary>A bucket, which is the stream <c>OBJ_&lt;bucket&gt;</c>.</summary>
public record NatsObjConfig(string Bucket)
{
    public string? Description { get; init; }

    public TimeSpan? MaxAge { get; init; }

    public long? MaxBytes { get; init; }

    public NatsObjStorageType Storage { get; init; }

    public int NumberOfReplicas { get; init; } = 1;

    public Placement? Placement { get; init; }

    public Dictionary<string, string>? Metadata { get; init; }

    public bool Compression { get; init; }
}
