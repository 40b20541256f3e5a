using System.Globalization;
using System.Text;

namespace RuleEngineNats.Messaging;

/// <summary>A JSON number as it is written: compared digit by digit, since a double would take 9007199254740993 for 9007199254740992 and PostgreSQL does not.</summary>
internal readonly ref struct JsonNumber
{
    private const int MaxExponent = 1_000_000_000;

    private readonly ReadOnlySpan<byte> _whole;
    private readonly ReadOnlySpan<byte> _fraction;
    private readonly bool _negative;

    private JsonNumber(bool negative, ReadOnlySpan<byte> whole, ReadOnlySpan<byte> fraction, long exponent)
    {
        Scale = Math.Max(0, fraction.Length - exponent);
        // 0.0012e5 begins at the 1: what stands before it are only zeros.
        var wholeDigits = whole.TrimStart((byte)'0');
        var leading = wholeDigits.IsEmpty ? fraction.Length - fraction.TrimStart((byte)'0').Length : 0;
        _whole = wholeDigits;
        _fraction = wholeDigits.IsEmpty ? fraction[leading..] : fraction;
        _negative = negative;
        IsZero = wholeDigits.IsEmpty && _fraction.IsEmpty;
        Weight = exponent + (wholeDigits.IsEmpty ? -leading - 1 : wholeDigits.Length - 1);
    }

    public bool IsZero { get; }

    /// <summary>The power of ten of its first digit that is not 0.</summary>
    public long Weight { get; }

    /// <summary>How many digits stand after the point when it is written without an exponent.</summary>
    public long Scale { get; }

    private int Sign => IsZero ? 0 : _negative ? -1 : 1;

    /// <param name="raw">A number by the grammar of JSON.</param>
    /// <param name="number">The number.</param>
    /// <returns>False when its exponent is beyond all limits.</returns>
    public static bool TryParse(ReadOnlySpan<byte> raw, out JsonNumber number)
    {
        var negative = raw[0] == (byte)'-';
        var digits = negative ? raw[1..] : raw;
        long exponent = 0;
        if (digits.IndexOfAny((byte)'e', (byte)'E') is var at and >= 0)
        {
            if (!long.TryParse(Encoding.ASCII.GetString(digits[(at + 1)..]), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out exponent)
                || Math.Abs(exponent) > MaxExponent)
            {
                number = default;
                return false;
            }

            digits = digits[..at];
        }

        var point = digits.IndexOf((byte)'.');
        number = new(negative, point < 0 ? digits : digits[..point], point < 0 ? [] : digits[(point + 1)..], exponent);
        return true;
    }

    /// <summary>Compares two numbers; that both are within the limits was looked at when the document was read.</summary>
    public static int Compare(ReadOnlySpan<byte> left, ReadOnlySpan<byte> right)
    {
        if (!TryParse(left, out var one) || !TryParse(right, out var other))
        {
            throw new FormatException("a number is out of range");
        }

        if (one.Sign != other.Sign || one.IsZero)
        {
            return one.Sign.CompareTo(other.Sign);
        }

        var larger = one.Weight != other.Weight ? one.Weight.CompareTo(other.Weight) : one.CompareDigits(other);
        return one._negative ? -larger : larger;
    }

    private int CompareDigits(JsonNumber other)
    {
        var length = Math.Max(_whole.Length + _fraction.Length, other._whole.Length + other._fraction.Length);
        for (var index = 0; index < length; index++)
        {
            if (Digit(index) != other.Digit(index))
            {
                return Digit(index).CompareTo(other.Digit(index));
            }
        }

        return 0;
    }

    private byte Digit(int index) => index < _whole.Length ? _whole[index]
        : index - _whole.Length < _fraction.Length ? _fraction[index - _whole.Length]
        : (byte)'0';
}
