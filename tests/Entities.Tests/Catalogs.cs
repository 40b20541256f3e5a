using System.Text;

namespace RuleEngineNats.Entities.Tests;

/// <summary>Catalogs and readings of texts.</summary>
internal static class Catalogs
{
    public static EntityCatalog Of(string yaml)
    {
        var (catalog, problems) = EntityLoader.LoadText("test.yaml", yaml);
        Assert.Empty(problems);
        return catalog!;
    }

    /// <summary>A v1 root entity A with the table a and these fields.</summary>
    public static EntityCatalog OfFields(params string[] fields) => Of($$"""
        apiVersion: nomnom.io/v1
        kind: Entity
        metadata: {name: A}
        spec:
          type: root
          fields:
        {{string.Join('\n', fields.Select(field => $"    - {field}"))}}
          persistence: {table: a}
        """);

    public static EntityReading Read(this EntityCatalog catalog, string json, string? hint = null) => new EntityReader(catalog).Read(Encoding.UTF8.GetBytes(json), hint);

    /// <summary>The rows as texts, a table and its rows a line.</summary>
    public static IEnumerable<string> Lines(this EntityReading reading)
    {
        Assert.Empty(reading.Violations);
        foreach (var rows in reading.Rows)
        {
            for (var row = 0; row < rows.Count; row++)
            {
                yield return $"{rows.Table.Name}: {string.Join(" | ", Texts(rows[row]).Select(text => text ?? "-"))}";
            }
        }
    }

    public static IReadOnlyList<string?> Texts(ReadOnlySpan<EntityValue> row)
    {
        var texts = new string?[row.Length];
        for (var index = 0; index < row.Length; index++)
        {
            texts[index] = Text(row[index]);
        }

        return texts;
    }

    private static string? Text(in EntityValue value) => value.Kind switch
    {
        EntityValueKind.Null => null,
        EntityValueKind.Text or EntityValueKind.Jsonb => value.Text,
        EntityValueKind.Bigint => FormattableString.Invariant($"{value.Bigint}"),
        EntityValueKind.Real => FormattableString.Invariant($"{value.Real:R}"),
        EntityValueKind.Numeric => FormattableString.Invariant($"{value.Numeric}"),
        EntityValueKind.Boolean => value.Boolean ? "true" : "false",
        EntityValueKind.Date => value.Date.ToString("O"),
        _ => value.Timestamp.ToString("yyyy-MM-ddTHH:mm:ss.ffffffZ"),
    };
}
