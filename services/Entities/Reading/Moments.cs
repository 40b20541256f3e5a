namespace RuleEngineNats.Entities.Reading;

/// <summary>
/// Dates and RFC 3339 timestamps: <c>2025-01-15</c>, <c>2025-01-15T10:30:00.123456Z</c>. Stricter than the parsers of .NET, which take a timestamp
/// without an offset for the local time of whichever server reads it.
/// </summary>
internal static class Moments
{
    private const int DateLength = 10;

    public static string? ReadDate(ReadOnlySpan<byte> text, out EntityValue value)
    {
        value = default;
        if (text.Length != DateLength || !TryDate(text, out var date))
        {
            return ViolationCodes.NotADate;
        }

        value = EntityValue.FromDate(DateOnly.FromDateTime(date));
        return null;
    }

    public static string? ReadTimestamp(ReadOnlySpan<byte> text, out EntityValue value)
    {
        value = default;
        if (text.Length < DateLength || !TryDate(text[..DateLength], out var moment))
        {
            return ViolationCodes.NotATimestamp;
        }

        // A date alone is its midnight in UTC.
        var offset = TimeSpan.Zero;
        if (text.Length > DateLength && !TryTime(text[DateLength..], ref moment, out offset))
        {
            return ViolationCodes.NotATimestamp;
        }

        var ticks = moment.Ticks - offset.Ticks;
        if (ticks < DateTime.MinValue.Ticks || ticks > DateTime.MaxValue.Ticks)
        {
            return ViolationCodes.OutOfRange;
        }

        value = EntityValue.FromTimestamp(new DateTime(ticks, DateTimeKind.Utc));
        return null;
    }

    private static bool TryDate(ReadOnlySpan<byte> text, out DateTime date)
    {
        date = default;
        if (!TryDigits(text[..4], out var year) || text[4] != (byte)'-' || !TryDigits(text[5..7], out var month) || text[7] != (byte)'-' || !TryDigits(text[8..10], out var day)
            || year < 1 || month is < 1 or > 12 || day < 1 || day > DateTime.DaysInMonth(year, month))
        {
            return false;
        }

        date = new DateTime(year, month, day);
        return true;
    }

    // T10:30:00, perhaps a fraction, then Z or an offset.
    private static bool TryTime(ReadOnlySpan<byte> text, ref DateTime moment, out TimeSpan offset)
    {
        offset = default;
        if (text.Length < 10 || text[0] is not ((byte)'T' or (byte)'t') || text[3] != (byte)':' || text[6] != (byte)':'
            || !TryDigits(text[1..3], out var hour) || !TryDigits(text[4..6], out var minute) || !TryDigits(text[7..9], out var second)
            || hour > 23 || minute > 59 || second > 59)
        {
            return false;
        }

        moment = moment.AddTicks((((hour * 60L) + minute) * 60 + second) * TimeSpan.TicksPerSecond);
        text = text[9..];
        if (text[0] == (byte)'.')
        {
            var digits = text[1..].IndexOfAnyExceptInRange((byte)'0', (byte)'9');
            if (digits < 1)
            {
                return false;
            }

            moment = moment.AddTicks(Microseconds(text.Slice(1, digits)));
            text = text[(1 + digits)..];
        }

        return TryOffset(text, out offset);
    }

    // PostgreSQL has microseconds; what is finer is cut, as it would have been there for the most part.
    private static long Microseconds(ReadOnlySpan<byte> fraction)
    {
        long ticks = 0;
        for (var index = 0; index < 6; index++)
        {
            ticks = (ticks * 10) + (index < fraction.Length ? fraction[index] - '0' : 0);
        }

        return ticks * TimeSpan.TicksPerMicrosecond;
    }

    private static bool TryOffset(ReadOnlySpan<byte> text, out TimeSpan offset)
    {
        offset = default;
        if (text.Length == 1)
        {
            return text[0] is (byte)'Z' or (byte)'z';
        }

        if (text.Length != 6 || text[0] is not ((byte)'+' or (byte)'-') || text[3] != (byte)':' || !TryDigits(text[1..3], out var hours) || !TryDigits(text[4..6], out var minutes)
            || hours > 23 || minutes > 59)
        {
            return false;
        }

        offset = new TimeSpan(hours, minutes, 0) * (text[0] == (byte)'-' ? -1 : 1);
        return true;
    }

    private static bool TryDigits(ReadOnlySpan<byte> text, out int number)
    {
        number = 0;
        foreach (var unit in text)
        {
            if (unit is < (byte)'0' or > (byte)'9')
            {
                return false;
            }

            number = (number * 10) + (unit - '0');
        }

        return true;
    }
}
