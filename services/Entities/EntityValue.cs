using System.Text;

namespace RuleEngineNats.Entities;

/// <summary>What a value is, in a column and in this process.</summary>
public enum EntityValueKind : byte
{
    /// <summary>No value.</summary>
    Null,

    /// <summary><c>text</c> or <c>character varying</c>: UTF-8 bytes.</summary>
    Text,

    /// <summary><c>bigint</c>: a <see cref="long"/>.</summary>
    Bigint,

    /// <summary><c>double precision</c>: a finite <see cref="double"/>.</summary>
    Real,

    /// <summary><c>numeric</c>: a <see cref="decimal"/>.</summary>
    Numeric,

    /// <summary><c>boolean</c>.</summary>
    Boolean,

    /// <summary><c>timestamp with time zone</c>: a UTC <see cref="DateTime"/>.</summary>
    Timestamptz,

    /// <summary><c>date</c>: a <see cref="DateOnly"/>.</summary>
    Date,

    /// <summary><c>jsonb</c>: JSON in UTF-8 as it came.</summary>
    Jsonb,
}

/// <summary>
/// A value of a row, without boxing. Text and JSON point into the document they were read from: it must not change until the row is written.
/// </summary>
public readonly struct EntityValue
{
    // Text and JSON: the array; a decimal that does not fit into 64 bits: the decimal.
    private readonly object? _reference;
    private readonly long _bits;
    private readonly byte _scale;

    private EntityValue(EntityValueKind kind, long bits, object? reference = null, byte scale = 0)
        => (Kind, _bits, _reference, _scale) = (kind, bits, reference, scale);

    /// <summary>What it is; the property of the same type has the value, and no other may be asked.</summary>
    public EntityValueKind Kind { get; }

    /// <summary>Whether there is no value.</summary>
    public bool IsNull => Kind == EntityValueKind.Null;

    /// <summary>Value of <see cref="EntityValueKind.Bigint"/>.</summary>
    public long Bigint => _bits;

    /// <summary>Value of <see cref="EntityValueKind.Real"/>.</summary>
    public double Real => BitConverter.Int64BitsToDouble(_bits);

    /// <summary>Value of <see cref="EntityValueKind.Boolean"/>.</summary>
    public bool Boolean => _bits != 0;

    /// <summary>Value of <see cref="EntityValueKind.Timestamptz"/>, in UTC.</summary>
    public DateTime Timestamp => new(_bits, DateTimeKind.Utc);

    /// <summary>Value of <see cref="EntityValueKind.Date"/>.</summary>
    public DateOnly Date => DateOnly.FromDayNumber((int)_bits);

    /// <summary>Value of <see cref="EntityValueKind.Numeric"/>, with the decimal places it was written with.</summary>
    public decimal Numeric
    {
        get
        {
            if (_reference is decimal large)
            {
                return large;
            }

            var digits = (ulong)Math.Abs(_bits);
            return new decimal((int)digits, (int)(digits >> 32), 0, _bits < 0, _scale);
        }
    }

    /// <summary>Bytes of <see cref="EntityValueKind.Text"/> and <see cref="EntityValueKind.Jsonb"/>.</summary>
    public ReadOnlyMemory<byte> Utf8 => new((byte[])_reference!, (int)(_bits >> 32), (int)_bits);

    /// <summary>The same as a string.</summary>
    public string Text => Encoding.UTF8.GetString(Utf8.Span);

    internal static EntityValue FromUtf8(EntityValueKind kind, byte[] bytes, int start, int length) => new(kind, ((long)start << 32) | (uint)length, bytes);

    internal static EntityValue FromBigint(long value) => new(EntityValueKind.Bigint, value);

    internal static EntityValue FromReal(double value) => new(EntityValueKind.Real, BitConverter.DoubleToInt64Bits(value));

    internal static EntityValue FromBoolean(bool value) => new(EntityValueKind.Boolean, value ? 1 : 0);

    internal static EntityValue FromTimestamp(DateTime utc) => new(EntityValueKind.Timestamptz, utc.Ticks);

    internal static EntityValue FromDate(DateOnly value) => new(EntityValueKind.Date, value.DayNumber);

    /// <param name="digits">At most 18 digits.</param>
    /// <param name="scale">How many of them are decimal places.</param>
    internal static EntityValue FromNumeric(long digits, byte scale) => new(EntityValueKind.Numeric, digits, null, scale);

    internal static EntityValue FromNumeric(decimal value) => new(EntityValueKind.Numeric, 0, value);
}
