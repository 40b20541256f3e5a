using System.Text.Json.Serialization;

namespace NATS.Client.ObjectStore.Models;

/// <summary>What a bucket says of an object: the last message on its subject <c>$O.&lt;bucket&gt;.M.&lt;name&gt;</c>.</summary>
public record ObjectMetadata
{
    [JsonPropertyName("name")]
    public required string Name { get; set; }

    [JsonPropertyName("description")]
    public string? Description { get; set; }

    [JsonPropertyName("bucket")]
    public string? Bucket { get; set; }

    [JsonPropertyName("nuid")]
    public string? Nuid { get; set; }

    [JsonPropertyName("size"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public ulong Size { get; set; }

    [JsonPropertyName("mtime"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public DateTimeOffset MTime { get; set; }

    [JsonPropertyName("chunks"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public uint Chunks { get; set; }

    [JsonPropertyName("digest")]
    public string? Digest { get; set; }

    [JsonPropertyName("metadata"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public Dictionary<string, string>? Metadata { get; set; }

    [JsonPropertyName("headers"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public Dictionary<string, string[]>? Headers { get; set; }

    [JsonPropertyName("deleted"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Deleted { get; set; }

    [JsonPropertyName("options"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public MetaDataOptions? Options { get; set; }
}

public record MetaDataOptions
{
    [JsonPropertyName("link"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public NatsObjLink? Link { get; set; }

    [JsonPropertyName("max_chunk_size"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public int? MaxChunkSize { get; set; }
}

public record NatsObjLink
{
    [JsonPropertyName("name"), JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public required string Name { get; set; }

    [JsonPropertyName("bucket"), JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public required string Bucket { get; set; }
}

[JsonSerializable(typeof(ObjectMetadata))]
internal sealed partial class ObjectStoreJson : JsonSerializerContext;
