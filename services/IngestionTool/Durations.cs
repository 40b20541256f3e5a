using System.Globalization;

namespace RuleEngineNats.IngestionTool;

/// <summary>Durations as people write them: a number and s, m, h or d.</summary>
internal static class Durations
{
    public const string Form = "a number and s, m, h or d, e.g. 10m";

    public static TimeSpan? Parse(string text)
    {
        var unit = text is [.., var last]
            ? last switch { 's' => TimeSpan.FromSeconds(1), 'm' => TimeSpan.FromMinutes(1), 'h' => TimeSpan.FromHours(1), 'd' => TimeSpan.FromDays(1), _ => TimeSpan.Zero }
            : TimeSpan.Zero;
        return unit > TimeSpan.Zero && int.TryParse(text[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number is > 0 and <= 36_500
            ? number * unit
            : null;
    }
}
