using System.Text.Json.Serialization;

namespace NATS.Client.JetStream.Models;

public record AccountInfoResponse : AccountStats
{
}

public record AccountLimits
{
    [JsonPropertyName("max_memory")]
    public long MaxMemory { get; set; }

    [JsonPropertyName("max_storage")]
    public long MaxStorage { get; set; }

    [JsonPropertyName("max_streams")]
    public int MaxStreams { get; set; }

    [JsonPropertyName("max_consumers")]
    public int MaxConsumers { get; set; }

    [JsonPropertyName("max_bytes_required"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool MaxBytesRequired { get; set; }

    [JsonPropertyName("max_ack_pending"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public int MaxAckPending { get; set; }

    [JsonPropertyName("memory_max_stream_bytes"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long MemoryMaxStreamBytes { get; set; } = -1;

    [JsonPropertyName("storage_max_stream_bytes"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long StorageMaxStreamBytes { get; set; } = -1;
}

public record AccountPurgeResponse
{
    [JsonPropertyName("initiated"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Initiated { get; set; }
}

public record AccountStats
{
    [JsonPropertyName("memory")]
    public ulong Memory { get; set; }

    [JsonPropertyName("storage")]
    public ulong Storage { get; set; }

    [JsonPropertyName("streams")]
    public int Streams { get; set; }

    [JsonPropertyName("consumers")]
    public int Consumers { get; set; }

    [JsonPropertyName("domain"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? Domain { get; set; }

    [JsonPropertyName("limits")]
    public AccountLimits Limits { get; set; } = new();

    [JsonPropertyName("tiers"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public IDictionary<string, Tier>? Tiers { get; set; }

    [JsonPropertyName("api")]
    public ApiStats Api { get; set; } = new();
}

public record ApiError
{
    [JsonPropertyName("code")]
    public int Code { get; set; }

    [JsonPropertyName("description"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? Description { get; set; }

    [JsonPropertyName("err_code"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public int ErrCode { get; set; }
}

public record ApiStats
{
    [JsonPropertyName("level")]
    public int Level { get; set; }

    [JsonPropertyName("total")]
    public ulong Total { get; set; }

    [JsonPropertyName("errors")]
    public ulong Errors { get; set; }

    [JsonPropertyName("inflight"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public ulong Inflight { get; set; }
}

public record MetaLeaderStepdownRequest
{
    [JsonPropertyName("placement"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public Placement? Placement { get; set; }
}

public record MetaLeaderStepdownResponse
{
    [JsonPropertyName("success")]
    public bool Success { get; set; }
}

public record MetaServerRemoveRequest
{
    [JsonPropertyName("peer"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? Peer { get; set; }

    [JsonPropertyName("peer_id"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? PeerId { get; set; }
}

public record MetaServerRemoveResponse
{
    [JsonPropertyName("success")]
    public bool Success { get; set; }
}

public record Tier
{
    [JsonPropertyName("memory")]
    public ulong Memory { get; set; }

    [JsonPropertyName("storage")]
    public ulong Storage { get; set; }

    [JsonPropertyName("reserved_memory")]
    public ulong ReservedMemory { get; set; }

    [JsonPropertyName("reserved_storage")]
    public ulong ReservedStore { get; set; }

    [JsonPropertyName("streams")]
    public int Streams { get; set; }

    [JsonPropertyName("consumers")]
    public int Consumers { get; set; }

    [JsonPropertyName("limits")]
    public AccountLimits Limits { get; set; } = new();
}
