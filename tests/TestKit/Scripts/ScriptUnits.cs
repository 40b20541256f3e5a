using System.Globalization;
using System.Text.RegularExpressions;

namespace RuleEngineNats.TestKit;

/// <summary>Times and sizes as scripts write them.</summary>
internal static partial class ScriptUnits
{
    public static bool TryTime(string text, out TimeSpan time)
    {
        var match = Time().Match(text);
        time = match.Success
            ? TimeSpan.FromMilliseconds(long.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture) * (match.Groups[2].Value switch { "ms" => 1, "s" => 1000, _ => 60_000 }))
            : default;
        return match.Success;
    }

    public static bool TrySize(string text, out long size)
    {
        var match = Size().Match(text);
        size = match.Success
            ? long.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture) * (match.Groups[2].Value switch { "B" => 1L, "KiB" => 1L << 10, "MiB" => 1L << 20, _ => 1L << 30 })
            : default;
        return match.Success;
    }

    [GeneratedRegex("^([0-9]{1,9})(ms|s|m)$")]
    private static partial Regex Time();

    [GeneratedRegex("^([0-9]{1,9})(B|KiB|MiB|GiB)$")]
    private static partial Regex Size();
}
