using RuleEngineNats.Entities.Definitions;
using RuleEngineNats.Entities.Yaml;

namespace RuleEngineNats.Entities.Compilation;

/// <summary>Foreign keys, and the order of the tables that follows from them.</summary>
internal sealed class CompileForeignKeys(IReadOnlyList<TableModel> tables, Problems problems)
{
    /// <summary>The tables, each after those it refers to and those of what it derives from.</summary>
    public List<TableModel> Compile()
    {
        foreach (var table in tables)
        {
            foreach (var key in table.Entity.Draft.Persistence!.ForeignKeys)
            {
                Add(table, key);
            }
        }

        var ordered = new List<TableModel>();
        var visited = new HashSet<TableModel>();
        foreach (var table in tables.Where(table => table.Entity.Draft.Kind is EntityKind.Reference).Concat(tables))
        {
            Visit(table, [], visited, ordered);
        }

        return ordered;
    }

    private void Add(TableModel table, ForeignKeyDraft key)
    {
        var field = table.Stored.Find(one => one.Name == key.Column.Text || one.Column == key.Column.Text);
        if (field is null)
        {
            problems.Add(key.Column.Node, $"unknown field '{key.Column}'", Nearest.Fix(key.Column.Text, table.Stored.Select(one => one.Name)));
        }
        else if (key.Nullable is { Value: false } nullable && field.Nullable)
        {
            problems.Add(nullable.Node, $"the foreign key is not nullable, but '{field.Name}' is", "write the same for both");
        }

        var parts = key.References.Text.Split('.');
        if (parts.Length != 2)
        {
            problems.Add(key.References.Node, $"'{key.References}' is no table and column", "write table.column");
            return;
        }

        var target = tables.FirstOrDefault(other => other.Name.Text == parts[0]);
        if (target is null)
        {
            if (!problems.Incomplete)
            {
                problems.Add(key.References.Node, $"unknown table '{parts[0]}'", Nearest.Fix(parts[0], tables.Select(other => other.Name.Text)));
            }

            return;
        }

        if (key.Entity is { } entity && entity.Text != target.Entity.Name)
        {
            problems.Add(entity.Node, $"'{parts[0]}' is the table of {target.Entity.Name}, not of {entity}", $"write {target.Entity.Name}, or leave it out");
        }

        if (field is not null && table.ForeignKeys.Exists(other => other.Column == field.Column))
        {
            problems.Add(key.Column.Node, $"a second foreign key of '{key.Column}'", "remove one of the two");
        }
        else if (Check(key, field, target, parts[1], isSelf: target == table))
        {
            table.ForeignKeys.Add(new(Identifiers.Relation(table.Name.Text, [field!.Column], "fkey"), field.Column, parts[0], parts[1]));
            table.References.Add(target);
        }
    }

    private bool Check(ForeignKeyDraft key, FieldModel? field, TableModel target, string column, bool isSelf)
    {
        var referred = target.Columns.Find(one => one.Name == column);
        if (referred is null)
        {
            problems.Add(key.References.Node, $"unknown column '{column}' of {target.Name}", Nearest.Fix(column, target.Columns.Select(one => one.Name)));
            return false;
        }

        // Other unique indexes are made after the table, and then it is too late.
        if (isSelf && !(target.PrimaryKey is [var own] && own == column))
        {
            problems.Add(key.References.Node, $"a table refers to itself by its primary key only, which is not '{column}'", "refer to the primary key, or leave the foreign key out");
            return false;
        }

        if (!IsUnique(target, column))
        {
            problems.Add(key.References.Node, $"'{column}' of {target.Name} is not unique by itself", "refer to its primary key or a unicity of one field, or make the field unique");
            return false;
        }

        if (field?.Type is { } type && FieldTypes.Kind(type) != referred.Kind)
        {
            problems.Add(key.Column.Node, $"'{field.Name}' is {FieldTypes.Name(type)}, but '{column}' of {target.Name} is {referred.Type}", "give both the same type");
            return false;
        }

        return field is not null;
    }

    private static bool IsUnique(TableModel table, string column)
        => table.PrimaryKey is [var key] && key == column
            || table.Unicity is [var unicity] && unicity == column
            || table.Indexes.Exists(index => index is { Unique: true, Columns: [var only] } && only == column);

    private void Visit(TableModel table, List<TableModel> path, HashSet<TableModel> visited, List<TableModel> ordered)
    {
        if (visited.Contains(table))
        {
            return;
        }

        if (path.IndexOf(table) is >= 0 and var begin)
        {
            var circle = path[begin..];
            var names = string.Join(" to ", circle.Append(table).Select(one => one.Name.Text));
            problems.Add(circle[^1].Name.Node, $"foreign keys and derivation go in a circle: {names}", "remove one of the foreign keys");
            return;
        }

        path.Add(table);
        foreach (var other in table.References.Concat(Above(table.Entity)).Where(other => other != table))
        {
            Visit(other, path, visited, ordered);
        }

        path.RemoveAt(path.Count - 1);
        if (visited.Add(table))
        {
            ordered.Add(table);
        }
    }

    // Where derivation itself goes in a circle, that is reported already.
    private static IEnumerable<TableModel> Above(EntityModel entity) => entity.Frame is null ? [] : entity.DerivesFrom.SelectMany(parent => parent.Table is null ? Above(parent) : [parent.Table]);
}
