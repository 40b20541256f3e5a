using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using RuleEngineNats.Entities.Yaml;

namespace RuleEngineNats.Entities.Compilation;

/// <summary>What names may be. They are columns, tables and tokens of subjects, so they are plain.</summary>
internal static class Identifiers
{
    // Columns that every PostgreSQL table has, and the one that every table of ours has.
    private static readonly string[] ReservedColumns = [EntityTable.IngestedAt, "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];

    private static readonly string[] ReservedTables = ["message_status", "schema_migrations"];

    private static readonly string[] ReservedPrefixes = ["rule_", "pg_", "ingest_"];

    /// <returns>Whether it is a name; if not, that is reported.</returns>
    public static bool Check(Word name, string what, Problems problems)
    {
        if (Encoding.UTF8.GetByteCount(name.Text) > EntityLimits.NameBytes)
        {
            problems.Add(name.Node, $"{what} is longer than {EntityLimits.NameBytes} bytes", "shorten it");
            return false;
        }

        if (name.Text.Length > 0 && !char.IsAsciiDigit(name.Text[0]) && name.Text.All(character => char.IsAsciiLetterOrDigit(character) || character == '_'))
        {
            return true;
        }

        problems.Add(name.Node, $"'{name}' is no name for {what}", "use letters, digits and _, not beginning with a digit");
        return false;
    }

    public static void CheckColumn(Word name, string column, Problems problems)
    {
        if (ReservedColumns.Contains(column, StringComparer.Ordinal))
        {
            problems.Add(name.Node, $"'{column}' is a reserved column", "choose another name");
        }
    }

    public static void CheckTable(Word name, Problems problems)
    {
        if (Check(name, "a table", problems)
            && (ReservedTables.Contains(name.Text, StringComparer.Ordinal) || ReservedPrefixes.Any(prefix => name.Text.StartsWith(prefix, StringComparison.Ordinal))))
        {
            problems.Add(name.Node, $"'{name}' is a reserved table", $"choose a name that is not {string.Join(" or ", ReservedTables)} and does not begin with {string.Join(", ", ReservedPrefixes)}");
        }
    }

    /// <summary>The column of a field: snake_case, so that <c>facilityId</c> of the v1 form and <c>facility_id</c> of the legacy one are the same column.</summary>
    public static string Column(string field)
    {
        var column = new StringBuilder(field.Length + 8);
        for (var index = 0; index < field.Length; index++)
        {
            if (index > 0 && char.IsAsciiLetterUpper(field[index]) && (char.IsAsciiLetterLower(field[index - 1]) || char.IsAsciiDigit(field[index - 1])))
            {
                column.Append('_');
            }

            column.Append(char.ToLowerInvariant(field[index]));
        }

        return column.ToString();
    }

    /// <summary>The name of a constraint or an index; PostgreSQL would cut a long one and then find it taken.</summary>
    public static string Relation(string table, IEnumerable<string> columns, string suffix)
    {
        var name = string.Join('_', [table, .. columns, suffix]);
        if (name.Length <= EntityLimits.NameBytes)
        {
            return name;
        }

        var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(name)).AsSpan(0, 4));
        return string.Create(CultureInfo.InvariantCulture, $"{name[..(EntityLimits.NameBytes - suffix.Length - hash.Length - 2)]}_{hash}_{suffix}");
    }
}
