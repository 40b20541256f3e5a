using System.Buffers;
using System.Globalization;
using System.Text.Json;
using RuleEngineNats.Entities;

namespace RuleEngineNats.IngestionWorker.Reading;

/// <summary>An event that goes out with a row: of a root the document itself, of what derives from one the row as JSON.</summary>
/// <param name="Subject">Where it goes.</param>
/// <param name="Id">The message id it is published under.</param>
/// <param name="Body">JSON.</param>
internal readonly record struct RowEvent(string Subject, string Id, ReadOnlyMemory<byte> Body)
{
    public static void Add(List<RowEvent> events, Guid id, ReadOnlyMemory<byte> document, Entity root, EntityRows rows)
    {
        var subject = rows.Table.Publish!;
        if (rows.Table == root.Table)
        {
            events.Add(new(subject, id.ToString("D", CultureInfo.InvariantCulture), document));
            return;
        }

        for (var row = 0; row < rows.Count; row++)
        {
            events.Add(new(subject, string.Create(CultureInfo.InvariantCulture, $"{id:D}_{rows.Table.Name}_{row + 1}"), JsonOf(rows.Table, rows[row])));
        }
    }

    private static ReadOnlyMemory<byte> JsonOf(EntityTable table, ReadOnlySpan<EntityValue> values)
    {
        var output = new ArrayBufferWriter<byte>();
        using var writer = new Utf8JsonWriter(output);
        writer.WriteStartObject();
        for (var column = 0; column < values.Length; column++)
        {
            writer.WritePropertyName(table.RowColumns[column].Name);
            Write(writer, values[column]);
        }

        writer.WriteEndObject();
        writer.Flush();
        return output.WrittenMemory;
    }

    private static void Write(Utf8JsonWriter writer, in EntityValue value)
    {
        switch (value.Kind)
        {
            case EntityValueKind.Null:
                writer.WriteNullValue();
                break;
            case EntityValueKind.Text:
                writer.WriteStringValue(value.Utf8.Span);
                break;
            case EntityValueKind.Jsonb:
                writer.WriteRawValue(value.Utf8.Span, skipInputValidation: true);
                break;
            case EntityValueKind.Bigint:
                writer.WriteNumberValue(value.Bigint);
                break;
            case EntityValueKind.Real:
                writer.WriteNumberValue(value.Real);
                break;
            case EntityValueKind.Numeric:
                writer.WriteNumberValue(value.Numeric);
                break;
            case EntityValueKind.Boolean:
                writer.WriteBooleanValue(value.Boolean);
                break;
            case EntityValueKind.Timestamptz:
                writer.WriteStringValue(value.Timestamp);
                break;
            case EntityValueKind.Date:
                writer.WriteStringValue(value.Date.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture));
                break;
            default:
                throw new InvalidOperationException($"a value of kind {value.Kind}");
        }
    }
}
