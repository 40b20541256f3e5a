using System.Text.Json.Serialization;

namespace NATS.Client.JetStream.Models;

public record StreamConsumerSource
{
    [JsonPropertyName("name")]
    public required string Name { get; set; }

    [JsonPropertyName("deliver_subject"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? DeliverSubject { get; set; }
}

public record StreamMsgDeleteRequest
{
    [JsonPropertyName("seq")]
    public ulong Seq { get; set; }

    [JsonPropertyName("no_erase"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool NoErase { get; set; }
}

public record StreamMsgDeleteResponse
{
    [JsonPropertyName("success")]
    public bool Success { get; set; }
}

public record StreamMsgGetRequest
{
    [JsonPropertyName("seq"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public ulong Seq { get; set; }

    [JsonPropertyName("last_by_subj"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? LastBySubj { get; set; }

    [JsonPropertyName("next_by_subj"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? NextBySubj { get; set; }
}

public record StreamMsgGetResponse
{
    [JsonPropertyName("message")]
    public required StoredMessage Message { get; set; }
}

public record StreamNamesRequest
{
    [JsonPropertyName("subject"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? Subject { get; set; }

    [JsonPropertyName("offset"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public int Offset { get; set; }
}

public record StreamNamesResponse : IterableResponse
{
    [JsonPropertyName("streams"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public ICollection<string>? Streams { get; set; }
}

public record StreamPurgeRequest
{
    [JsonPropertyName("filter"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? Filter { get; set; }

    [JsonPropertyName("seq"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public ulong Seq { get; set; }

    [JsonPropertyName("keep"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public ulong Keep { get; set; }
}

public record StreamPurgeResponse
{
    [JsonPropertyName("success")]
    public bool Success { get; set; }

    [JsonPropertyName("purged")]
    public long Purged { get; set; }
}

public record StreamRestoreRequest
{
    [JsonPropertyName("config")]
    public StreamConfig Config { get; set; } = new();

    [JsonPropertyName("state")]
    public StreamState State { get; set; } = new();
}

public record StreamRestoreResponse
{
    [JsonPropertyName("deliver_subject")]
    public required string DeliverSubject { get; set; }
}

public record StreamSnapshotRequest
{
    [JsonPropertyName("deliver_subject")]
    public required string DeliverSubject { get; set; }

    [JsonPropertyName("no_consumers"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool NoConsumers { get; set; }

    [JsonPropertyName("chunk_size"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public int? ChunkSize { get; set; }

    [JsonPropertyName("jsck"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Jsck { get; set; }

    [JsonPropertyName("window_size"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public int? WindowSize { get; set; }
}

public record StreamSnapshotResponse
{
    [JsonPropertyName("config")]
    public StreamConfig Config { get; set; } = new();

    [JsonPropertyName("state")]
    public StreamState State { get; set; } = new();
}

public record StreamSource
{
    [JsonPropertyName("name")]
    public required string Name { get; set; }

    [JsonPropertyName("opt_start_seq"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public ulong OptStartSeq { get; set; }

    [JsonPropertyName("opt_start_time"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault), JsonConverter(typeof(DateTimeOffsetConverter))]
    public DateTimeOffset OptStartTime { get; set; }

    [JsonPropertyName("filter_subject"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? FilterSubject { get; set; }

    [JsonPropertyName("subject_transforms"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public ICollection<SubjectTransform>? SubjectTransforms { get; set; }

    [JsonPropertyName("external"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public ExternalStreamSource? External { get; set; }

    [JsonPropertyName("consumer"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public StreamConsumerSource? Consumer { get; set; }

    /// <summary>Ours alone: it becomes the API prefix of <see cref="External"/>.</summary>
    [JsonIgnore]
    public string? Domain { get; set; }
}

public record StreamSourceInfo
{
    [JsonPropertyName("name")]
    public required string Name { get; set; }

    [JsonPropertyName("filter_subject"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? FilterSubject { get; set; }

    [JsonPropertyName("subject_transform_dest"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public string? SubjectTransformDest { get; set; }

    [JsonPropertyName("lag")]
    public long Lag { get; set; }

    [JsonPropertyName("active"), JsonConverter(typeof(NullableNanosecondsWithMinusOneConverter))]
    public TimeSpan? Active { get; set; }

    [JsonPropertyName("external"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public ExternalStreamSource? External { get; set; }

    [JsonPropertyName("error"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public ApiError? Error { get; set; }
}
