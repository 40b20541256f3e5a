using System.Globalization;

namespace RuleEngineNats.Problems;

/// <summary>Reads query parameters and collects what is wrong with them; the framework's own binding stops at the first.</summary>
internal sealed class QueryReader
{
    public FieldProblems Problems { get; } = new();

    public int? Integer(string name, string? text, int minimum, int maximum)
    {
        if (text is null)
        {
            return null;
        }

        if (!long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value))
        {
            Problems.Add("wrong_type", name, "must be an integer", "Give a whole number.");
            return null;
        }

        Problems.Range(name, value, minimum, maximum);
        return (int)Math.Clamp(value, minimum, maximum);
    }

    public long? Long(string name, string? text, long minimum)
    {
        if (text is null || (long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value >= minimum))
        {
            return text is null ? null : long.Parse(text, CultureInfo.InvariantCulture);
        }

        Problems.Add("wrong_type", name, $"must be an integer from {minimum} on", "Give a whole number.");
        return null;
    }

    public DateTimeOffset? Time(string name, string? text)
    {
        if (text is null)
        {
            return null;
        }

        if (DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time))
        {
            return time;
        }

        Problems.Add("wrong_type", name, "must be a time", "Give a time as RFC 3339 has it, with the offset or Z; + is %2B in an address.");
        return null;
    }

    public bool? Boolean(string name, string? text)
    {
        if (text is null or "true" or "false")
        {
            return text is null ? null : text == "true";
        }

        Problems.Add("wrong_type", name, "must be true or false", "Give true or false.");
        return null;
    }
}
