using System.Globalization;
using System.Text.RegularExpressions;

namespace RuleEngineNats.Sql.Tests;

/// <summary>What a TAP producer said, as far as pgTAP uses the protocol: a plan (<c>1..3</c>) and a line for each test.</summary>
internal static partial class TapOutput
{
    /// <summary>Why the run was not good; null when every test of the plan passed.</summary>
    public static string? Problem(string output)
    {
        var lines = output.Split('\n');
        var plan = lines.Select(line => Plan().Match(line)).Where(match => match.Success).Select(match => int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture)).ToList();
        if (plan is not [> 0])
        {
            return "there is no plan";
        }

        var failed = lines.Where(line => line.StartsWith("not ok", StringComparison.Ordinal)).ToList();
        var passed = lines.Count(line => line.StartsWith("ok ", StringComparison.Ordinal));
        return failed.Count > 0 ? string.Join('\n', failed)
            : passed != plan[0] ? $"{passed} of {plan[0]} tests ran"
            : null;
    }

    [GeneratedRegex("^1\\.\\.([0-9]+)$", RegexOptions.CultureInvariant)]
    private static partial Regex Plan();
}
