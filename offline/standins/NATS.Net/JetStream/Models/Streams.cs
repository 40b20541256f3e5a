using System.Text.Json.Serialization;

namespace NATS.Client.JetStream.Models;

public record StreamAlternate
{
    [JsonPropertyName("name")]
    public required string Name { get; set; }

    [JsonPropertyName("cluster")]
    public required string Cluster { get; set; }

    [JsonPropertyName("domain"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? Domain { get; set; }
}

public record StreamCreateResponse : StreamInfo
{
}

public record StreamDeleteResponse
{
    [JsonPropertyName("success")]
    public bool Success { get; set; }
}

public record StreamInfo
{
    [JsonPropertyName("config")]
    public StreamConfig Config { get; set; } = new();

    [JsonPropertyName("state")]
    public StreamState State { get; set; } = new();

    [JsonPropertyName("created")]
    public DateTimeOffset Created { get; set; }

    [JsonPropertyName("ts"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public DateTimeOffset Ts { get; set; }

    [JsonPropertyName("cluster"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public ClusterInfo? Cluster { get; set; }

    [JsonPropertyName("mirror"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public StreamSourceInfo? Mirror { get; set; }

    [JsonPropertyName("sources"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public ICollection<StreamSourceInfo>? Sources { get; set; }

    [JsonPropertyName("alternates"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public ICollection<StreamAlternate>? Alternates { get; set; }
}

public record StreamInfoRequest
{
    [JsonPropertyName("deleted_details"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool DeletedDetails { get; set; }

    [JsonPropertyName("subjects_filter"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? SubjectsFilter { get; set; }

    [JsonPropertyName("offset"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public int Offset { get; set; }
}

public record StreamInfoResponse : StreamInfo
{
    [JsonPropertyName("total"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public int Total { get; set; }

    [JsonPropertyName("offset"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public int Offset { get; set; }

    [JsonPropertyName("limit"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public int Limit { get; set; }
}

public record StreamLeaderStepdownResponse
{
    [JsonPropertyName("success")]
    public bool Success { get; set; }
}

public record StreamListRequest
{
    [JsonPropertyName("subject"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? Subject { get; set; }

    [JsonPropertyName("offset"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public int Offset { get; set; }
}

public record StreamListResponse : IterableResponse
{
    [JsonPropertyName("streams")]
    public ICollection<StreamInfo> Streams { get; set; } = [];

    [JsonPropertyName("missing"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public ICollection<string>? Missing { get; set; }
}

public record StreamRemovePeerRequest
{
    [JsonPropertyName("peer")]
    public required string Peer { get; set; }
}

public record StreamRemovePeerResponse
{
    [JsonPropertyName("success")]
    public bool Success { get; set; }
}

public record StreamState
{
    [JsonPropertyName("messages")]
    public long Messages { get; set; }

    [JsonPropertyName("bytes")]
    public long Bytes { get; set; }

    [JsonPropertyName("first_seq")]
    public ulong FirstSeq { get; set; }

    [JsonPropertyName("first_ts"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? FirstTs { get; set; }

    [JsonPropertyName("last_seq")]
    public ulong LastSeq { get; set; }

    [JsonPropertyName("last_ts"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? LastTs { get; set; }

    [JsonPropertyName("deleted"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public ICollection<long>? Deleted { get; set; }

    [JsonPropertyName("subjects"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public IDictionary<string, long>? Subjects { get; set; }

    [JsonPropertyName("num_subjects"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long NumSubjects { get; set; }

    [JsonPropertyName("num_deleted"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long NumDeleted { get; set; }

    [JsonPropertyName("lost"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public LostStreamData? Lost { get; set; }

    [JsonPropertyName("consumer_count")]
    public long ConsumerCount { get; set; }
}

public record StreamUpdateResponse : StreamInfo
{
}
