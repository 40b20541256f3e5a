namespace RuleEngineNats.Sql.Tests;

/// <summary>A file under docs/ that the database writes: a test compares them, and rewrites the file where it is told to.</summary>
internal static class GeneratedDocument
{
    /// <summary>The one command that writes all of them anew; the documents quote it too.</summary>
    public const string Command = "REWRITE_DOCS=1 dotnet test tests/Sql.Tests --filter FullyQualifiedName~GeneratedDocumentTests";

    private const int LinesShown = 60;

    public static void MustBeCurrent(string name, IEnumerable<string> lines)
    {
        var path = Repository.Path("docs", name);
        string[] wanted = [.. lines.SelectMany(line => line.Split('\n'))];
        if (Environment.GetEnvironmentVariable("REWRITE_DOCS") == "1")
        {
            File.WriteAllText(path, string.Join('\n', wanted) + '\n');
            return;
        }

        string[] found = File.Exists(path) ? File.ReadAllText(path).TrimEnd('\n').Split('\n') : [];
        if (wanted.SequenceEqual(found))
        {
            return;
        }

        string[] difference = [.. found.Except(wanted).Select(line => $"- {line}"), .. wanted.Except(found).Select(line => $"+ {line}")];
        Assert.Fail($"""
            docs/{name} (-) is not what the database has (+):
            {string.Join('\n', difference.Take(LinesShown).DefaultIfEmpty("the same lines in another order"))}
            {(difference.Length > LinesShown ? $"and {difference.Length - LinesShown} lines more\n" : "")}If that is meant, write it anew and read the difference: {Command}
            """);
    }

    /// <summary>Text from the database as a cell of a Markdown table, or as a paragraph.</summary>
    public static string Text(string? text) => (text ?? "")
        .Replace("\\", "\\\\", StringComparison.Ordinal).Replace("|", "\\|", StringComparison.Ordinal)
        .Replace("<", "\\<", StringComparison.Ordinal).Replace("*", "\\*", StringComparison.Ordinal);
}
