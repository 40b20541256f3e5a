using System.Text.Json.Serialization;

namespace NATS.Client.JetStream.Models;

public enum ConsumerCreateAction
{
    CreateOrUpdate = 0,
    Create = 1,
    Update = 2,
}

internal sealed record ConsumerCreateRequest
{
    [JsonPropertyName("stream_name")]
    public required string StreamName { get; set; }

    [JsonPropertyName("config")]
    public ConsumerConfig? Config { get; set; }

    [JsonPropertyName("action"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public ConsumerCreateAction Action { get; set; }
}

public record ConsumerCreateResponse : ConsumerInfo
{
}

public record ConsumerDeleteResponse
{
    [JsonPropertyName("success")]
    public bool Success { get; set; }
}

public record ConsumerGetnextRequest
{
    [JsonPropertyName("expires"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault), JsonConverter(typeof(NanosecondsConverter))]
    public TimeSpan Expires { get; set; }

    [JsonPropertyName("batch"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long Batch { get; set; }

    [JsonPropertyName("max_bytes"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long MaxBytes { get; set; }

    [JsonPropertyName("no_wait"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool NoWait { get; set; }

    [JsonPropertyName("idle_heartbeat"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault), JsonConverter(typeof(NanosecondsConverter))]
    public TimeSpan IdleHeartbeat { get; set; }

    [JsonPropertyName("group"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? Group { get; set; }

    [JsonPropertyName("min_pending"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long MinPending { get; set; }

    [JsonPropertyName("min_ack_pending"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long MinAckPending { get; set; }

    [JsonPropertyName("id"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? Id { get; set; }

    [JsonPropertyName("priority"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public byte Priority { get; set; }
}

public record ConsumerInfo
{
    [JsonPropertyName("stream_name")]
    public required string StreamName { get; set; }

    [JsonPropertyName("name")]
    public required string Name { get; set; }

    [JsonPropertyName("ts"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public DateTimeOffset Ts { get; set; }

    [JsonPropertyName("config")]
    public ConsumerConfig Config { get; set; } = new();

    [JsonPropertyName("created")]
    public DateTimeOffset Created { get; set; }

    [JsonPropertyName("delivered")]
    public SequenceInfo Delivered { get; set; } = new();

    [JsonPropertyName("ack_floor")]
    public SequenceInfo AckFloor { get; set; } = new();

    [JsonPropertyName("num_ack_pending")]
    public int NumAckPending { get; set; }

    [JsonPropertyName("num_redelivered")]
    public int NumRedelivered { get; set; }

    [JsonPropertyName("num_waiting")]
    public int NumWaiting { get; set; }

    [JsonPropertyName("num_pending")]
    public ulong NumPending { get; set; }

    [JsonPropertyName("paused"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool IsPaused { get; set; }

    [JsonPropertyName("pause_remaining"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault), JsonConverter(typeof(NullableNanosecondsConverter))]
    public TimeSpan? PauseRemaining { get; set; }

    [JsonPropertyName("cluster"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public ClusterInfo? Cluster { get; set; }

    [JsonPropertyName("push_bound"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool PushBound { get; set; }

    [JsonPropertyName("priority_groups"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public ICollection<PriorityGroupState>? PriorityGroups { get; set; }
}

public record ConsumerInfoResponse : ConsumerInfo
{
}

public record ConsumerLeaderStepdownResponse
{
    [JsonPropertyName("success")]
    public bool Success { get; set; }
}

public record ConsumerListRequest : IterableRequest
{
}

public record ConsumerListResponse : IterableResponse
{
    [JsonPropertyName("consumers")]
    public ICollection<ConsumerInfo> Consumers { get; set; } = [];
}

public record ConsumerNamesRequest : IterableRequest
{
    [JsonPropertyName("subject"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? Subject { get; set; }
}

public record ConsumerNamesResponse : IterableResponse
{
    [JsonPropertyName("consumers")]
    public ICollection<string> Consumers { get; set; } = [];
}

internal sealed record ConsumerPauseRequest
{
    [JsonPropertyName("pause_until"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public DateTimeOffset? PauseUntil { get; set; }
}

public record ConsumerPauseResponse
{
    [JsonPropertyName("paused")]
    public bool IsPaused { get; init; }

    [JsonPropertyName("pause_until"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public DateTimeOffset PauseUntil { get; init; }

    [JsonPropertyName("pause_remaining"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault), JsonConverter(typeof(NullableNanosecondsConverter))]
    public TimeSpan? PauseRemaining { get; init; }
}

internal sealed record ConsumerResetRequest
{
    [JsonPropertyName("seq"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public ulong Seq { get; set; }
}

public record ConsumerResetResponse : ConsumerInfo
{
    [JsonPropertyName("reset_seq")]
    public ulong ResetSeq { get; set; }
}

internal sealed record ConsumerUnpinRequest
{
    [JsonPropertyName("group"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? Group { get; set; }
}

internal sealed record ConsumerUnpinResponse
{
    [JsonPropertyName("success")]
    public bool Success { get; set; }
}
