using System.Buffers;
using System.Buffers.Text;
using System.Text;

namespace NATS.Client.Core;

/// <summary>Strings, numbers, dates and the like as UTF-8 text; anything else goes to the next serializer.</summary>
public class NatsUtf8PrimitivesSerializer<T> : INatsSerializer<T>
{
    public static readonly NatsUtf8PrimitivesSerializer<T> Default = new();

    private static readonly StandardFormat IsoFormat = new('O');

    private readonly INatsSerializer<T>? _next;

    public NatsUtf8PrimitivesSerializer(INatsSerializer<T>? next = default) => _next = next;

    public INatsSerializer<T> CombineWith(INatsSerializer<T>? next) => new NatsUtf8PrimitivesSerializer<T>(next);

    public void Serialize(IBufferWriter<byte> bufferWriter, T value)
    {
        if (value is string text)
        {
            Encoding.UTF8.GetBytes(text, bufferWriter);
            return;
        }

        var span = bufferWriter.GetSpan(128);
        int written;
        bool? formatted = value switch
        {
            DateTime v => Utf8Formatter.TryFormat(v, span, out written, IsoFormat) ? Wrote(bufferWriter, written) : false,

            // A zero offset is written as Z, not +00:00.
            DateTimeOffset v when v.Offset == TimeSpan.Zero => Utf8Formatter.TryFormat(v.UtcDateTime, span, out written, IsoFormat) ? Wrote(bufferWriter, written) : false,
            DateTimeOffset v => Utf8Formatter.TryFormat(v, span, out written, IsoFormat) ? Wrote(bufferWriter, written) : false,
            Guid v => Utf8Formatter.TryFormat(v, span, out written) ? Wrote(bufferWriter, written) : false,
            TimeSpan v => Utf8Formatter.TryFormat(v, span, out written) ? Wrote(bufferWriter, written) : false,
            bool v => Utf8Formatter.TryFormat(v, span, out written) ? Wrote(bufferWriter, written) : false,
            byte v => Utf8Formatter.TryFormat(v, span, out written) ? Wrote(bufferWriter, written) : false,
            decimal v => Utf8Formatter.TryFormat(v, span, out written) ? Wrote(bufferWriter, written) : false,
            double v => Utf8Formatter.TryFormat(v, span, out written) ? Wrote(bufferWriter, written) : false,
            float v => Utf8Formatter.TryFormat(v, span, out written) ? Wrote(bufferWriter, written) : false,
            int v => Utf8Formatter.TryFormat(v, span, out written) ? Wrote(bufferWriter, written) : false,
            long v => Utf8Formatter.TryFormat(v, span, out written) ? Wrote(bufferWriter, written) : false,
            sbyte v => Utf8Formatter.TryFormat(v, span, out written) ? Wrote(bufferWriter, written) : false,
            short v => Utf8Formatter.TryFormat(v, span, out written) ? Wrote(bufferWriter, written) : false,
            uint v => Utf8Formatter.TryFormat(v, span, out written) ? Wrote(bufferWriter, written) : false,
            ulong v => Utf8Formatter.TryFormat(v, span, out written) ? Wrote(bufferWriter, written) : false,
            _ => null,
        };

        if (formatted == true)
        {
            return;
        }

        if (formatted == false)
        {
            throw new NatsException($"Can't serialize {typeof(T)}, format error");
        }

        if (_next is null)
        {
            throw new NatsException($"Can't serialize {typeof(T)}");
        }

        _next.Serialize(bufferWriter, value);
    }

    public T? Deserialize(in ReadOnlySequence<byte> buffer)
    {
        if (typeof(T) == typeof(string))
        {
            return buffer.IsEmpty ? default : (T)(object)Encoding.UTF8.GetString(buffer);
        }

        var type = Nullable.GetUnderlyingType(typeof(T)) ?? typeof(T);
        if (!IsPrimitive(type))
        {
            return _next is null ? throw new NatsException($"Can't deserialize {typeof(T)}") : _next.Deserialize(buffer);
        }

        if (buffer.IsEmpty)
        {
            return default;
        }

        var span = buffer.IsSingleSegment ? buffer.FirstSpan : buffer.ToArray();
        return (T)(Parse(type, span) ?? throw new NatsException($"Can't deserialize {typeof(T)}. Parsing error"));
    }

    private static bool Wrote(IBufferWriter<byte> writer, int count)
    {
        writer.Advance(count);
        return true;
    }

    private static bool IsPrimitive(Type type) =>
        type == typeof(DateTimeOffset) || type == typeof(Guid) || type == typeof(TimeSpan)
        || (!type.IsEnum && Type.GetTypeCode(type) is not (TypeCode.Object or TypeCode.String or TypeCode.Empty or TypeCode.DBNull or TypeCode.Char or TypeCode.UInt16));

    private static object? Parse(Type type, ReadOnlySpan<byte> span)
    {
        if (type == typeof(DateTimeOffset))
        {
            return Utf8Parser.TryParse(span, out DateTimeOffset v, out _, 'O') ? v : null;
        }

        if (type == typeof(Guid))
        {
            return Utf8Parser.TryParse(span, out Guid v, out _) ? v : null;
        }

        if (type == typeof(TimeSpan))
        {
            return Utf8Parser.TryParse(span, out TimeSpan v, out _) ? v : null;
        }

        return Type.GetTypeCode(type) switch
        {
            TypeCode.DateTime => Utf8Parser.TryParse(span, out DateTime v, out _, 'O') ? v : null,
            TypeCode.Boolean => Utf8Parser.TryParse(span, out bool v, out _) ? v : null,
            TypeCode.Byte => Utf8Parser.TryParse(span, out byte v, out _) ? v : null,
            TypeCode.Decimal => Utf8Parser.TryParse(span, out decimal v, out _) ? v : null,
            TypeCode.Double => Utf8Parser.TryParse(span, out double v, out _) ? v : null,
            TypeCode.Single => Utf8Parser.TryParse(span, out float v, out _) ? v : null,
            TypeCode.Int32 => Utf8Parser.TryParse(span, out int v, out _) ? v : null,
            TypeCode.Int64 => Utf8Parser.TryParse(span, out long v, out _) ? v : null,
            TypeCode.SByte => Utf8Parser.TryParse(span, out sbyte v, out _) ? v : null,
            TypeCode.Int16 => Utf8Parser.TryParse(span, out short v, out _) ? v : null,
            TypeCode.UInt32 => Utf8Parser.TryParse(span, out uint v, out _) ? v : null,
            TypeCode.UInt64 => Utf8Parser.TryParse(span, out ulong v, out _) ? v : null,
            _ => null,
        };
    }
}
