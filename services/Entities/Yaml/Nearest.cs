namespace RuleEngineNats.Entities.Yaml;

/// <summary>Finds what somebody may have meant.</summary>
internal static class Nearest
{
    /// <summary>"did you mean 'nullable'?", or all there are.</summary>
    public static string Fix(string given, IEnumerable<string> known)
    {
        var names = known.Distinct(StringComparer.Ordinal).ToList();
        var nearest = names.Select(name => (Name: name, Distance: Distance(given, name))).OrderBy(pair => pair.Distance).FirstOrDefault();
        if (nearest.Name is not null && nearest.Distance <= Math.Max(1, given.Length / 3) && nearest.Distance < given.Length)
        {
            return $"did you mean '{nearest.Name}'?";
        }

        return names.Count == 0 ? "there is none" : $"one of {string.Join(", ", names.Take(40))}";
    }

    // Levenshtein; case and underscores are what people mix up most, so they count nothing.
    private static int Distance(string one, string other)
    {
        (one, other) = (Plain(one), Plain(other));
        if (one.Length > 64 || other.Length > 64)
        {
            return int.MaxValue;
        }

        var row = Enumerable.Range(0, other.Length + 1).ToArray();
        for (var i = 1; i <= one.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= other.Length; j++)
            {
                var substitution = diagonal + (one[i - 1] == other[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(substitution, 1 + Math.Min(row[j], row[j - 1]));
            }
        }

        return row[other.Length];
    }

    private static string Plain(string name) => name.Replace("_", "", StringComparison.Ordinal).ToLowerInvariant();
}
