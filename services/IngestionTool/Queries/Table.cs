using System.Text.Json;

namespace RuleEngineNats.IngestionTool.Queries;

/// <summary>Rows of the API for people.</summary>
internal static class Table
{
    private const int Widest = 60;

    /// <summary>Prints these members of each row, as wide as they are; the last one as long as it is.</summary>
    public static void Print(TextWriter output, IReadOnlyCollection<JsonElement> rows, params IReadOnlyList<string> members)
    {
        string[][] cells = [[.. members.Select(member => member.ToUpperInvariant())], .. rows.Select(row => members.Select(member => Text(row, member)).ToArray())];
        var widths = members.Select((_, column) => cells.Max(row => Math.Min(Widest, row[column].Length))).ToArray();
        foreach (var row in cells)
        {
            output.WriteLine(string.Join("  ", row.Select((cell, column) => column == row.Length - 1 ? cell : cell.PadRight(widths[column]))).TrimEnd());
        }
    }

    /// <summary>Each member of an object on a line of its own.</summary>
    public static void PrintMembers(TextWriter output, JsonElement row)
    {
        var members = row.EnumerateObject().Where(member => member.Value.ValueKind != JsonValueKind.Null).ToArray();
        var width = members.Max(member => member.Name.Length);
        foreach (var member in members)
        {
            output.WriteLine($"{member.Name.PadRight(width)}  {Text(row, member.Name)}");
        }
    }

    private static string Text(JsonElement row, string member)
        => !row.TryGetProperty(member, out var value) || value.ValueKind == JsonValueKind.Null ? "-"
            : value.ValueKind == JsonValueKind.String ? value.GetString()!.ReplaceLineEndings(" ")
            : value.GetRawText();
}
