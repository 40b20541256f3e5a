using System.Buffers;
using System.Buffers.Binary;
using RuleEngineNats.Entities;

namespace RuleEngineNats.IngestionWorker.Reading;

/// <summary>
/// Rows in the binary format of COPY (https://www.postgresql.org/docs/current/sql-copy.html): a number of fields of 2 bytes; of each its length in 4 bytes, -1 for
/// NULL, and its value as the type's send function has it. Rows are encoded while another batch is being written, so that a write only moves bytes.
/// </summary>
internal static class CopyFormat
{
    private const int LongestFixed = 4 + 8;
    private const int LongestNumeric = 4 + 8 + (2 * 10);
    private const byte JsonbVersion = 1;

    private static readonly DateTime Epoch = new(2000, 1, 1, 0, 0, 0, DateTimeKind.Utc);
    private static readonly int EpochDay = DateOnly.FromDateTime(Epoch).DayNumber;

    /// <summary>Signature, flags and the length of an extension that is not there.</summary>
    public static readonly ReadOnlyMemory<byte> Header = (byte[])[.. "PGCOPY\n"u8, 0xFF, (byte)'\r', (byte)'\n', 0, 0, 0, 0, 0, 0, 0, 0, 0];

    public static readonly ReadOnlyMemory<byte> Trailer = (byte[])[0xFF, 0xFF];

    /// <summary>Adds a row: its values, and after them when it was accepted.</summary>
    public static void AddRow(ArrayBufferWriter<byte> output, ReadOnlySpan<EntityValue> values, DateTimeOffset ingestedAt)
    {
        BinaryPrimitives.WriteInt16BigEndian(output.GetSpan(sizeof(short)), (short)(values.Length + 1));
        output.Advance(sizeof(short));
        foreach (ref readonly var value in values)
        {
            Add(output, value);
        }

        AddFixed(output, sizeof(long), Microseconds(ingestedAt.UtcDateTime));
    }

    private static void Add(ArrayBufferWriter<byte> output, in EntityValue value)
    {
        switch (value.Kind)
        {
            case EntityValueKind.Null:
                BinaryPrimitives.WriteInt32BigEndian(output.GetSpan(sizeof(int)), -1);
                output.Advance(sizeof(int));
                break;
            case EntityValueKind.Text:
                AddBytes(output, [], value.Utf8.Span);
                break;
            case EntityValueKind.Jsonb:
                AddBytes(output, [JsonbVersion], value.Utf8.Span);
                break;
            case EntityValueKind.Bigint:
                AddFixed(output, sizeof(long), value.Bigint);
                break;
            case EntityValueKind.Real:
                AddFixed(output, sizeof(double), BitConverter.DoubleToInt64Bits(value.Real));
                break;
            case EntityValueKind.Boolean:
                AddFixed(output, sizeof(byte), value.Boolean ? 1 : 0);
                break;
            case EntityValueKind.Timestamptz:
                AddFixed(output, sizeof(long), Microseconds(value.Timestamp));
                break;
            case EntityValueKind.Date:
                AddFixed(output, sizeof(int), value.Date.DayNumber - EpochDay);
                break;
            case EntityValueKind.Numeric:
                AddNumeric(output, value.Numeric);
                break;
            default:
                throw new InvalidOperationException($"a value of kind {value.Kind}");
        }
    }

    private static long Microseconds(DateTime moment) => (moment.Ticks - Epoch.Ticks) / TimeSpan.TicksPerMicrosecond;

    private static void AddFixed(ArrayBufferWriter<byte> output, int size, long value)
    {
        var span = output.GetSpan(LongestFixed);
        BinaryPrimitives.WriteInt32BigEndian(span, size);
        BinaryPrimitives.WriteInt64BigEndian(span[sizeof(int)..], value << (8 * (sizeof(long) - size)));
        output.Advance(sizeof(int) + size);
    }

    private static void AddBytes(ArrayBufferWriter<byte> output, ReadOnlySpan<byte> before, ReadOnlySpan<byte> bytes)
    {
        var span = output.GetSpan(sizeof(int) + before.Length + bytes.Length);
        BinaryPrimitives.WriteInt32BigEndian(span, before.Length + bytes.Length);
        before.CopyTo(span[sizeof(int)..]);
        bytes.CopyTo(span[(sizeof(int) + before.Length)..]);
        output.Advance(sizeof(int) + before.Length + bytes.Length);
    }

    // 1234567.5 is the digits 123, 4567, 5000 to the base of 10,000, the first of weight 1 (10,000 to the power of 1), with a scale of 1.
    private static void AddNumeric(ArrayBufferWriter<byte> output, decimal value)
    {
        Span<int> parts = stackalloc int[4];
        decimal.GetBits(value, parts);
        var scale = (byte)(parts[3] >> 16);
        var digits = ((UInt128)(uint)parts[2] << 64) | ((ulong)(uint)parts[1] << 32) | (uint)parts[0];
        var fraction = (scale + 3) / 4;
        for (var zeros = (fraction * 4) - scale; zeros > 0; zeros--)
        {
            digits *= 10;
        }

        Span<short> groups = stackalloc short[10];
        var count = 0;
        for (; digits > ulong.MaxValue; digits /= 10_000)
        {
            groups[count++] = (short)(int)(digits % 10_000);
        }

        for (var rest = (ulong)digits; rest > 0; rest /= 10_000)
        {
            groups[count++] = (short)(rest % 10_000);
        }

        var span = output.GetSpan(LongestNumeric);
        BinaryPrimitives.WriteInt32BigEndian(span, 8 + (2 * count));
        BinaryPrimitives.WriteInt16BigEndian(span[4..], (short)count);
        BinaryPrimitives.WriteInt16BigEndian(span[6..], (short)(count == 0 ? 0 : count - fraction - 1));
        BinaryPrimitives.WriteInt16BigEndian(span[8..], (short)(parts[3] < 0 && count > 0 ? 0x4000 : 0));
        BinaryPrimitives.WriteInt16BigEndian(span[10..], scale);
        for (var index = 0; index < count; index++)
        {
            BinaryPrimitives.WriteInt16BigEndian(span[(12 + (2 * index))..], groups[count - 1 - index]);
        }

        output.Advance(12 + (2 * count));
    }
}
