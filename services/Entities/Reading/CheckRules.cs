using System.Buffers;
using System.Globalization;
using System.Text;

namespace RuleEngineNats.Entities.Reading;

/// <summary>Whether a value keeps its field's rules.</summary>
internal static class CheckRules
{
    /// <returns>Null, or what is wrong, without the field.</returns>
    public static (string Code, string Message, string? Limit, string Fix)? Check(FieldRules rules, in EntityValue value) => value.Kind switch
    {
        EntityValueKind.Text => CheckText(rules, value.Utf8.Span),
        EntityValueKind.Bigint when rules.Minimum is not null || rules.Maximum is not null => CheckRange(rules, (decimal)value.Bigint),
        EntityValueKind.Real when rules.MinimumDouble is not null || rules.MaximumDouble is not null => CheckRange(rules, value.Real),
        EntityValueKind.Numeric when rules.Minimum is not null || rules.Maximum is not null || rules.Precision is not null => CheckNumeric(rules, value.Numeric),
        _ => null,
    };

    private static (string, string, string?, string)? CheckText(FieldRules rules, ReadOnlySpan<byte> text)
    {
        if (rules.MaxLength < text.Length && Length(text) > rules.MaxLength)
        {
            return (ViolationCodes.TooLong, $"is longer than {rules.MaxLength} characters", Text(rules.MaxLength), $"send at most {rules.MaxLength} characters");
        }

        if (text.Length > rules.MaxBytes)
        {
            return (ViolationCodes.TooLong, $"is longer than {rules.MaxBytes} bytes, which an index takes at most", Text(rules.MaxBytes), $"send at most {rules.MaxBytes} bytes");
        }

        if (rules.MinLength > 0 && Length(text) < rules.MinLength)
        {
            return (ViolationCodes.TooShort, $"is shorter than {rules.MinLength} characters", Text(rules.MinLength), $"send at least {rules.MinLength} characters");
        }

        if (rules.Allowed is { } allowed && !IsAllowed(allowed, text))
        {
            var all = string.Join(", ", allowed.Take(20).Select(Encoding.UTF8.GetString));
            return (ViolationCodes.NotAllowed, "is none of the values allowed", all, $"send one of {all}");
        }

        if (rules.Pattern is { } pattern && !Matches(pattern, text))
        {
            return (ViolationCodes.Pattern, "does not match the pattern", pattern.ToString(), $"send what matches {pattern}");
        }

        return null;
    }

    private static (string, string, string?, string)? CheckRange(FieldRules rules, decimal value)
    {
        if (value < rules.Minimum)
        {
            return (ViolationCodes.TooSmall, $"is less than {Text(rules.Minimum)}", Text(rules.Minimum), $"send at least {Text(rules.Minimum)}");
        }

        return value > rules.Maximum
            ? (ViolationCodes.TooLarge, $"is more than {Text(rules.Maximum)}", Text(rules.Maximum), $"send at most {Text(rules.Maximum)}")
            : null;
    }

    private static (string, string, string?, string)? CheckRange(FieldRules rules, double value)
    {
        if (value < rules.MinimumDouble)
        {
            return (ViolationCodes.TooSmall, $"is less than {Text(rules.MinimumDouble)}", Text(rules.MinimumDouble), $"send at least {Text(rules.MinimumDouble)}");
        }

        return value > rules.MaximumDouble
            ? (ViolationCodes.TooLarge, $"is more than {Text(rules.MaximumDouble)}", Text(rules.MaximumDouble), $"send at most {Text(rules.MaximumDouble)}")
            : null;
    }

    // PostgreSQL would round to the scale silently, and refuse too many digits in the middle of a batch.
    private static (string, string, string?, string)? CheckNumeric(FieldRules rules, decimal value)
    {
        if (rules.Precision is { } precision)
        {
            if (rules.Scale < 28 && decimal.Round(value, rules.Scale) != value)
            {
                return (ViolationCodes.TooPrecise, $"has more than {rules.Scale} decimal places", Text(rules.Scale), $"round it to {rules.Scale} decimal places");
            }

            if (precision - rules.Scale <= 28 && Math.Abs(value) >= Power(precision - rules.Scale))
            {
                var digits = precision - rules.Scale;
                return (ViolationCodes.OutOfRange, $"has more than {digits} digits before the point", Text(digits), $"send at most {digits} digits before the point");
            }
        }

        return CheckRange(rules, value);
    }

    private static decimal Power(int exponent)
    {
        var power = 1m;
        for (var digit = 0; digit < exponent; digit++)
        {
            power *= 10;
        }

        return power;
    }

    private static bool IsAllowed(byte[][] allowed, ReadOnlySpan<byte> text)
    {
        foreach (var one in allowed)
        {
            if (text.SequenceEqual(one))
            {
                return true;
            }
        }

        return false;
    }

    private static bool Matches(System.Text.RegularExpressions.Regex pattern, ReadOnlySpan<byte> text)
    {
        var characters = ArrayPool<char>.Shared.Rent(text.Length);
        try
        {
            return pattern.IsMatch(characters.AsSpan(0, Encoding.UTF8.GetChars(text, characters)));
        }
        finally
        {
            ArrayPool<char>.Shared.Return(characters);
        }
    }

    // In code points, as varchar(n) counts.
    private static int Length(ReadOnlySpan<byte> text)
    {
        var length = 0;
        foreach (var unit in text)
        {
            length += (unit & 0xC0) == 0x80 ? 0 : 1;
        }

        return length;
    }

    private static string Text(IFormattable? number) => number?.ToString(null, CultureInfo.InvariantCulture) ?? "";
}
