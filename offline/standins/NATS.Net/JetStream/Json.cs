using System.Buffers;
using System.Text.Json;
using System.Text.Json.Serialization;
using NATS.Client.Core;
using NATS.Client.JetStream.Models;

namespace NATS.Client.JetStream;

public static class NatsJSJsonSerializer<T>
{
    public static readonly INatsSerializer<T> Default = new NatsJsonContextSerializer<T>(JetStreamJson.Context);
}

/// <summary>An API answer: what was asked for, or the error the server sent instead.</summary>
internal readonly record struct ApiResult<T>(T? Value, ApiError? Error)
    where T : class;

internal sealed class ApiResultSerializer<T> : INatsDeserialize<ApiResult<T>>
    where T : class
{
    public static readonly ApiResultSerializer<T> Default = new();

    public ApiResult<T> Deserialize(in ReadOnlySequence<byte> buffer)
    {
        if (buffer.IsEmpty)
        {
            return default;
        }

        // {"type":"io.nats.jetstream.api.v1...","error":{"code":404,"err_code":10059,"description":"stream not found"}}
        using var document = JsonDocument.Parse(buffer);
        if (document.RootElement.TryGetProperty("error", out var error))
        {
            return new ApiResult<T>(null, error.Deserialize(JetStreamJson.Context.ApiError) ?? throw new NatsJSException("Can't parse JetStream error JSON payload"));
        }

        var info = JetStreamJson.Context.GetTypeInfo(typeof(T)) ?? throw new NatsJSException($"Unknown response type {typeof(T)}");
        return new ApiResult<T>((T?)document.RootElement.Deserialize(info) ?? throw new NatsJSException("Null result"), null);
    }
}

[JsonSerializable(typeof(AccountInfoResponse))]
[JsonSerializable(typeof(AccountLimits))]
[JsonSerializable(typeof(AccountPurgeResponse))]
[JsonSerializable(typeof(AccountStats))]
[JsonSerializable(typeof(ApiError))]
[JsonSerializable(typeof(ApiStats))]
[JsonSerializable(typeof(ClusterInfo))]
[JsonSerializable(typeof(ConsumerConfig))]
[JsonSerializable(typeof(ConsumerCreateRequest))]
[JsonSerializable(typeof(ConsumerCreateResponse))]
[JsonSerializable(typeof(ConsumerDeleteResponse))]
[JsonSerializable(typeof(ConsumerGetnextRequest))]
[JsonSerializable(typeof(ConsumerInfo))]
[JsonSerializable(typeof(ConsumerInfoResponse))]
[JsonSerializable(typeof(ConsumerLeaderStepdownResponse))]
[JsonSerializable(typeof(ConsumerListRequest))]
[JsonSerializable(typeof(ConsumerListResponse))]
[JsonSerializable(typeof(ConsumerNamesRequest))]
[JsonSerializable(typeof(ConsumerNamesResponse))]
[JsonSerializable(typeof(ConsumerPauseRequest))]
[JsonSerializable(typeof(ConsumerPauseResponse))]
[JsonSerializable(typeof(ConsumerResetRequest))]
[JsonSerializable(typeof(ConsumerResetResponse))]
[JsonSerializable(typeof(ConsumerUnpinRequest))]
[JsonSerializable(typeof(ConsumerUnpinResponse))]
[JsonSerializable(typeof(ErrorResponse))]
[JsonSerializable(typeof(ExternalStreamSource))]
[JsonSerializable(typeof(IterableRequest))]
[JsonSerializable(typeof(IterableResponse))]
[JsonSerializable(typeof(LostStreamData))]
[JsonSerializable(typeof(MetaLeaderStepdownRequest))]
[JsonSerializable(typeof(MetaLeaderStepdownResponse))]
[JsonSerializable(typeof(MetaServerRemoveRequest))]
[JsonSerializable(typeof(MetaServerRemoveResponse))]
[JsonSerializable(typeof(PeerInfo))]
[JsonSerializable(typeof(Placement))]
[JsonSerializable(typeof(PubAckResponse))]
[JsonSerializable(typeof(Republish))]
[JsonSerializable(typeof(SequenceInfo))]
[JsonSerializable(typeof(SequencePair))]
[JsonSerializable(typeof(StoredMessage))]
[JsonSerializable(typeof(StreamAlternate))]
[JsonSerializable(typeof(StreamConfig))]
[JsonSerializable(typeof(StreamCreateResponse))]
[JsonSerializable(typeof(StreamDeleteResponse))]
[JsonSerializable(typeof(StreamInfo))]
[JsonSerializable(typeof(StreamInfoRequest))]
[JsonSerializable(typeof(StreamInfoResponse))]
[JsonSerializable(typeof(StreamLeaderStepdownResponse))]
[JsonSerializable(typeof(StreamListRequest))]
[JsonSerializable(typeof(StreamListResponse))]
[JsonSerializable(typeof(StreamMsgDeleteRequest))]
[JsonSerializable(typeof(StreamMsgDeleteResponse))]
[JsonSerializable(typeof(StreamMsgGetRequest))]
[JsonSerializable(typeof(StreamMsgGetResponse))]
[JsonSerializable(typeof(StreamNamesRequest))]
[JsonSerializable(typeof(StreamNamesResponse))]
[JsonSerializable(typeof(StreamPurgeRequest))]
[JsonSerializable(typeof(StreamPurgeResponse))]
[JsonSerializable(typeof(StreamRemovePeerRequest))]
[JsonSerializable(typeof(StreamRemovePeerResponse))]
[JsonSerializable(typeof(StreamRestoreRequest))]
[JsonSerializable(typeof(StreamRestoreResponse))]
[JsonSerializable(typeof(StreamSnapshotRequest))]
[JsonSerializable(typeof(StreamSnapshotResponse))]
[JsonSerializable(typeof(StreamConsumerSource))]
[JsonSerializable(typeof(StreamSource))]
[JsonSerializable(typeof(StreamSourceInfo))]
[JsonSerializable(typeof(StreamState))]
[JsonSerializable(typeof(StreamTemplateConfig))]
[JsonSerializable(typeof(StreamTemplateCreateRequest))]
[JsonSerializable(typeof(StreamTemplateCreateResponse))]
[JsonSerializable(typeof(StreamTemplateDeleteResponse))]
[JsonSerializable(typeof(StreamTemplateInfo))]
[JsonSerializable(typeof(StreamTemplateInfoResponse))]
[JsonSerializable(typeof(StreamTemplateNamesRequest))]
[JsonSerializable(typeof(StreamTemplateNamesResponse))]
[JsonSerializable(typeof(StreamUpdateResponse))]
[JsonSerializable(typeof(SubjectTransform))]
[JsonSerializable(typeof(Tier))]
internal sealed partial class JetStreamJson : JsonSerializerContext
{
    public static readonly JetStreamJson Context = new(new JsonSerializerOptions
    {
        Converters =
        {
            new JsonStringEnumConverter<ConsumerConfigDeliverPolicy>(JsonNamingPolicy.SnakeCaseLower),
            new JsonStringEnumConverter<ConsumerConfigAckPolicy>(JsonNamingPolicy.SnakeCaseLower),
            new JsonStringEnumConverter<ConsumerConfigReplayPolicy>(JsonNamingPolicy.SnakeCaseLower),
            new JsonStringEnumConverter<ConsumerConfigPriorityPolicy>(JsonNamingPolicy.SnakeCaseLower),
            new JsonStringEnumConverter<ConsumerCreateAction>(JsonNamingPolicy.SnakeCaseLower),
            new JsonStringEnumConverter<StreamConfigCompression>(JsonNamingPolicy.SnakeCaseLower),
            new JsonStringEnumConverter<StreamConfigDiscard>(JsonNamingPolicy.SnakeCaseLower),
            new JsonStringEnumConverter<StreamConfigRetention>(JsonNamingPolicy.SnakeCaseLower),
            new JsonStringEnumConverter<StreamConfigStorage>(JsonNamingPolicy.SnakeCaseLower),
            new JsonStringEnumConverter<StreamConfigPersistMode>(JsonNamingPolicy.SnakeCaseLower),
        },
    });
}

/// <summary>The API counts time in nanoseconds.</summary>
internal sealed class NanosecondsConverter : JsonConverter<TimeSpan>
{
    public override TimeSpan Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => TimeSpan.FromTicks(reader.GetInt64() / 100);

    public override void Write(Utf8JsonWriter writer, TimeSpan value, JsonSerializerOptions options) => writer.WriteNumberValue(value.Ticks * 100);
}

internal sealed class NullableNanosecondsConverter : JsonConverter<TimeSpan?>
{
    public override TimeSpan? Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TokenType == JsonTokenType.Null ? null : TimeSpan.FromTicks(reader.GetInt64() / 100);

    public override void Write(Utf8JsonWriter writer, TimeSpan? value, JsonSerializerOptions options)
    {
        if (value is { } span)
        {
            writer.WriteNumberValue(span.Ticks * 100);
        }
        else
        {
            writer.WriteNullValue();
        }
    }
}

/// <summary>-1 says that there was no activity yet.</summary>
internal sealed class NullableNanosecondsWithMinusOneConverter : JsonConverter<TimeSpan?>
{
    public override bool HandleNull => true;

    public override TimeSpan? Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TokenType == JsonTokenType.Null || reader.GetInt64() is -1 ? null : TimeSpan.FromTicks(reader.GetInt64() / 100);

    public override void Write(Utf8JsonWriter writer, TimeSpan? value, JsonSerializerOptions options) => writer.WriteNumberValue(value?.Ticks * 100 ?? -1);
}

internal sealed class NullableCollectionNanosecondsConverter : JsonConverter<ICollection<TimeSpan>?>
{
    public override ICollection<TimeSpan>? Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType == JsonTokenType.Null)
        {
            return null;
        }

        var result = new List<TimeSpan>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            result.Add(TimeSpan.FromTicks(reader.GetInt64() / 100));
        }

        return result;
    }

    public override void Write(Utf8JsonWriter writer, ICollection<TimeSpan>? value, JsonSerializerOptions options)
    {
        writer.WriteStartArray();
        foreach (var span in value ?? [])
        {
            writer.WriteNumberValue(span.Ticks * 100);
        }

        writer.WriteEndArray();
    }
}

/// <summary>Always in UTC with a Z: the server does not like +00:00.</summary>
internal sealed class DateTimeOffsetConverter : JsonConverter<DateTimeOffset>
{
    public override DateTimeOffset Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TokenType == JsonTokenType.Null ? default : reader.GetDateTimeOffset();

    public override void Write(Utf8JsonWriter writer, DateTimeOffset value, JsonSerializerOptions options) => writer.WriteStringValue(value.UtcDateTime);
}
