using System.Text.Json;
using System.Text.Json.Serialization;
using Npgsql;

namespace RuleEngineNats.IngestionApi.DeadLetters;

/// <summary>A document that could not be stored.</summary>
internal sealed record DeadLetter
{
    /// <summary>The columns of <see cref="Read"/>, in its order.</summary>
    public const string Columns = "message_id, entity_type, received_at, processed_at, retry_count, error_code, error_message, source, resubmitted_as, stream_sequence, dlq_sequence";

    /// <summary>Its id.</summary>
    public required Guid MessageId { get; init; }

    /// <summary>The entity it was read as, or sent as; null when neither is known.</summary>
    public required string? EntityType { get; init; }

    /// <summary>When it was accepted.</summary>
    public required DateTimeOffset ReceivedAt { get; init; }

    /// <summary>When it was given up.</summary>
    public required DateTimeOffset? ProcessedAt { get; init; }

    /// <summary>Deliveries to a worker beyond the first.</summary>
    public required int RetryCount { get; init; }

    /// <summary>Why it was given up, for programs.</summary>
    public required string? ErrorCode { get; init; }

    /// <summary>Why it was given up, for people.</summary>
    public required string? ErrorMessage { get; init; }

    /// <summary>Where it came from, as its sender said.</summary>
    public required string? Source { get; init; }

    /// <summary>The id it was sent again under; null: it was not.</summary>
    public required Guid? ResubmittedAs { get; init; }

    /// <summary>Where it was in the stream MESSAGES.</summary>
    public required long? StreamSequence { get; init; }

    /// <summary>Where it is in the stream MESSAGESDLQ.</summary>
    public required long? DlqSequence { get; init; }

    /// <summary>Of one alone: the document, where it is JSON, character for character.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public RawJson? Document { get; init; }

    /// <summary>Of one alone: the document, where it is text and no JSON.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Text { get; init; }

    /// <summary>Of one alone: the document, where it is no text.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Base64 { get; init; }

    /// <summary>Of one alone: what the headers of its message say.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public DeadLetterReason? Reason { get; init; }

    public static DeadLetter Read(NpgsqlDataReader row) => new()
    {
        MessageId = row.GetGuid(0),
        EntityType = Value<string>(row, 1),
        ReceivedAt = row.GetFieldValue<DateTimeOffset>(2),
        ProcessedAt = row.IsDBNull(3) ? null : row.GetFieldValue<DateTimeOffset>(3),
        RetryCount = row.GetInt32(4),
        ErrorCode = Value<string>(row, 5),
        ErrorMessage = Value<string>(row, 6),
        Source = Value<string>(row, 7),
        ResubmittedAs = row.IsDBNull(8) ? null : row.GetGuid(8),
        StreamSequence = row.IsDBNull(9) ? null : row.GetInt64(9),
        DlqSequence = row.IsDBNull(10) ? null : row.GetInt64(10),
    };

    private static T? Value<T>(NpgsqlDataReader row, int column)
        where T : class
        => row.IsDBNull(column) ? null : row.GetFieldValue<T>(column);
}

/// <summary>JSON that is written as it is, down to its white space.</summary>
/// <param name="Bytes">One JSON value.</param>
[JsonConverter(typeof(RawJsonConverter))]
internal sealed record RawJson(ReadOnlyMemory<byte> Bytes);

/// <summary>Writes <see cref="RawJson"/>.</summary>
internal sealed class RawJsonConverter : JsonConverter<RawJson>
{
    public override RawJson Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => throw new NotSupportedException();

    public override void Write(Utf8JsonWriter writer, RawJson value, JsonSerializerOptions options) => writer.WriteRawValue(value.Bytes.Span, skipInputValidation: true);
}

/// <summary>Why a worker gave a document up.</summary>
/// <param name="Code">For programs.</param>
/// <param name="Message">For people.</param>
/// <param name="Attempts">How often it was delivered.</param>
/// <param name="Sequence">Where it was in the stream MESSAGES.</param>
internal sealed record DeadLetterReason(string? Code, string? Message, string? Attempts, string? Sequence);

/// <summary>A page of dead letters.</summary>
/// <param name="Items">In the order of their acceptance, without the documents.</param>
/// <param name="NextCursor">What to give as cursor for the next page; null when this is the last.</param>
internal sealed record DeadLetterPage(IReadOnlyList<DeadLetter> Items, string? NextCursor);

/// <summary>A document that was sent again.</summary>
/// <param name="MessageId">The id that it has from now on.</param>
/// <param name="ResubmittedFrom">The dead letter.</param>
/// <param name="Status">accepted.</param>
internal sealed record Resubmitted(Guid MessageId, Guid ResubmittedFrom, string Status);
