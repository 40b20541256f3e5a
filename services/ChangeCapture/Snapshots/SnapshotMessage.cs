using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace RuleEngineNats.ChangeCapture.Snapshots;

/// <summary>
/// What a logical message about snapshots says: a request, <c>{"slot":"my_slot","tables":["public.users"]}</c>, or a mark that this program wrote behind what it
/// has read, so that the reader of the WAL meets it in the order of the commits.
/// </summary>
internal sealed record SnapshotMessage
{
    /// <summary>The prefix of these messages. They are never events, whichever slot they are for.</summary>
    public const string Prefix = "rule-cdc-snapshot";

    public required string Slot { get; init; }

    /// <summary>Patterns of tables, as in the options; left out for every table that is captured. Whoever asks may have written something else.</summary>
    public JsonElement? Tables { get; init; }

    /// <summary>Asked for by the start of a capture.</summary>
    public bool Initial { get; init; }

    /// <summary>Stands for what is kept in memory until it is met.</summary>
    public string? Mark { get; init; }

    /// <summary>What a start asks for.</summary>
    public static SnapshotMessage InitialRequest(CaptureOptions options) => new()
    {
        Slot = options.Slot,
        Initial = true,
        Tables = options.SnapshotTables.Count == 0 ? null : JsonSerializer.SerializeToElement([.. options.SnapshotTables], SnapshotJson.Default.StringArray),
    };

    /// <summary>The patterns; null where the request has something else in their place.</summary>
    public string[]? Patterns() => Tables switch
    {
        null or { ValueKind: JsonValueKind.Null } => [],
        { ValueKind: JsonValueKind.Array } tables when tables.GetArrayLength() > 0 && tables.EnumerateArray().All(table => table.ValueKind is JsonValueKind.String)
            => [.. tables.EnumerateArray().Select(table => table.GetString()!)],
        _ => null,
    };

    /// <exception cref="JsonException">It is none.</exception>
    public static SnapshotMessage Parse(ReadOnlySpan<byte> content)
        => JsonSerializer.Deserialize(content, SnapshotJson.Default.SnapshotMessage) ?? throw new JsonException("null is no request");

    public string ToJson() => JsonSerializer.Serialize(this, SnapshotJson.Default.SnapshotMessage);
}

/// <summary>That a snapshot began or ended: an event of its own, and what a later start goes on from.</summary>
/// <param name="Id">Where it was asked for: commit LSN and index in the transaction.</param>
/// <param name="State"><see cref="Started"/>, <see cref="Completed"/> or <see cref="Failed"/>.</param>
/// <param name="Initial">The start of a capture asked for it.</param>
/// <param name="Tables">Its tables, each as a pattern that fits it alone.</param>
/// <param name="Rows">How many were read; 0 at the start.</param>
/// <param name="Error">Why it failed, and what to do.</param>
internal sealed record SnapshotEvent(
    string Id, string State, bool Initial, IReadOnlyList<string> Tables, [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] long Rows, string? Error)
{
    public const string Started = "started";
    public const string Completed = "completed";
    public const string Failed = "failed";

    public byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(new(this), SnapshotJson.Readable.SnapshotEnvelope);

    /// <summary>The event as it is stored, in whichever format an earlier start had: JSON, within CloudEvents' data, or Protocol Buffers.</summary>
    public static SnapshotEvent? Parse(ReadOnlySpan<byte> body)
    {
        if (body is [(byte)'{', ..])
        {
            var envelope = JsonSerializer.Deserialize(body, SnapshotJson.Default.SnapshotEnvelope);
            return envelope?.Snapshot ?? envelope?.Data?.Snapshot;
        }

        return Contracts.Changes.CapturedEvent.Parser.ParseFrom(body).Snapshot is { } said
            ? new(said.Id, said.State, said.Initial, [.. said.Tables], said.Rows, said.Error is "" ? null : said.Error)
            : null;
    }
}

internal sealed record SnapshotEnvelope([property: JsonPropertyName("Snapshot")] SnapshotEvent? Snapshot, SnapshotEnvelope? Data = null);

/// <summary>How far a table was read: goes along with each row that was read, in a header of its message.</summary>
/// <param name="Id">The snapshot.</param>
/// <param name="Rows">The rows of the table so far.</param>
/// <param name="Key">The row's key, in the order of its columns; null where the capture does not show it, or it is too long for a header.</param>
internal sealed record ReadPlace(string Id, long Rows, IReadOnlyList<KeyColumn>? Key)
{
    private const int MostKeyCharacters = 8 * 1024;

    /// <summary>In ASCII, as headers must be.</summary>
    public string ToHeader()
    {
        var tooLong = Key is not null && Key.Sum(column => column.Value.Length) > MostKeyCharacters;
        return JsonSerializer.Serialize(tooLong ? this with { Key = null } : this, SnapshotHeaderJson.Default.ReadPlace);
    }

    public static ReadPlace? Parse(string header) => JsonSerializer.Deserialize(header, SnapshotHeaderJson.Default.ReadPlace);
}

/// <summary>A column of a key and its value in PostgreSQL's text format.</summary>
internal sealed record KeyColumn(string Name, string Value);

[JsonSerializable(typeof(SnapshotMessage))]
[JsonSerializable(typeof(string[]))]
[JsonSerializable(typeof(SnapshotEnvelope))]
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault)]
internal sealed partial class SnapshotJson : JsonSerializerContext
{
    // Quotes of quoted names are written as \" rather than as \u0022: nothing puts these events into HTML.
    public static readonly SnapshotJson Readable = new(new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });
}

[JsonSerializable(typeof(ReadPlace))]
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault)]
internal sealed partial class SnapshotHeaderJson : JsonSerializerContext;
