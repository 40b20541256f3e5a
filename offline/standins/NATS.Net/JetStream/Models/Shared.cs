using System.Text.Json.Serialization;

namespace NATS.Client.JetStream.Models;

public record ClusterInfo
{
    [JsonPropertyName("name"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? Name { get; set; }

    [JsonPropertyName("raft_group"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? RaftGroup { get; set; }

    [JsonPropertyName("leader"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? Leader { get; set; }

    [JsonPropertyName("replicas"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public ICollection<PeerInfo>? Replicas { get; set; }

    [JsonPropertyName("leader_since"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public DateTimeOffset LeaderSince { get; init; }

    [JsonPropertyName("system_account"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool SystemAccount { get; init; }

    [JsonPropertyName("traffic_account"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? TrafficAccount { get; init; }
}

public record ErrorResponse
{
    [JsonPropertyName("error")]
    public ApiError Error { get; set; } = new();
}

public record ExternalStreamSource
{
    [JsonPropertyName("api")]
    public required string Api { get; set; }

    [JsonPropertyName("deliver"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? Deliver { get; set; }
}

public record IterableRequest
{
    [JsonPropertyName("offset")]
    public int Offset { get; set; }
}

public record IterableResponse
{
    [JsonPropertyName("total")]
    public int Total { get; set; }

    [JsonPropertyName("offset")]
    public int Offset { get; set; }

    [JsonPropertyName("limit")]
    public int Limit { get; set; }
}

public record LostStreamData
{
    [JsonPropertyName("msgs"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public ICollection<long>? Msgs { get; set; }

    [JsonPropertyName("bytes"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long Bytes { get; set; }
}

public record PeerInfo
{
    [JsonPropertyName("name")]
    public required string Name { get; set; }

    [JsonPropertyName("current")]
    public bool Current { get; set; }

    [JsonPropertyName("active"), JsonConverter(typeof(NanosecondsConverter))]
    public TimeSpan Active { get; set; }

    [JsonPropertyName("offline"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Offline { get; set; }

    [JsonPropertyName("lag"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public ulong Lag { get; set; }
}

public record Placement
{
    [JsonPropertyName("cluster"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Cluster { get; set; }

    [JsonPropertyName("tags"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public ICollection<string>? Tags { get; set; }
}

public record PriorityGroupState
{
    [JsonPropertyName("group"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? Group { get; set; }

    [JsonPropertyName("pinned_client_id"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? PinnedClientId { get; set; }

    [JsonPropertyName("pinned_ts"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public DateTimeOffset? PinnedTs { get; set; }
}

public record PubAckResponse
{
    [JsonPropertyName("error"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public ApiError? Error { get; set; }

    [JsonPropertyName("stream")]
    public string? Stream { get; set; }

    [JsonPropertyName("seq"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public ulong Seq { get; set; }

    [JsonPropertyName("duplicate"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Duplicate { get; set; }

    [JsonPropertyName("domain"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? Domain { get; set; }

    [JsonPropertyName("val"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? Value { get; set; }
}

public record Republish
{
    [JsonPropertyName("src")]
    public required string Src { get; set; }

    [JsonPropertyName("dest")]
    public required string Dest { get; set; }

    [JsonPropertyName("headers_only"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool HeadersOnly { get; set; }
}

public record SequenceInfo
{
    [JsonPropertyName("consumer_seq")]
    public ulong ConsumerSeq { get; set; }

    [JsonPropertyName("stream_seq")]
    public ulong StreamSeq { get; set; }

    [JsonPropertyName("last_active"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public DateTimeOffset LastActive { get; set; }
}

public record SequencePair
{
    [JsonPropertyName("consumer_seq")]
    public ulong ConsumerSeq { get; set; }

    [JsonPropertyName("stream_seq")]
    public ulong StreamSeq { get; set; }
}

public record StoredMessage
{
    [JsonPropertyName("subject")]
    public required string Subject { get; set; }

    [JsonPropertyName("seq")]
    public ulong Seq { get; set; }

    [JsonPropertyName("data"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public ReadOnlyMemory<byte> Data { get; set; }

    [JsonPropertyName("time")]
    public required DateTimeOffset Time { get; set; }

    [JsonPropertyName("hdrs"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? Hdrs { get; set; }
}

public record SubjectTransform
{
    [JsonPropertyName("src"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? Src { get; set; }

    [JsonPropertyName("dest")]
    public required string Dest { get; set; }
}
