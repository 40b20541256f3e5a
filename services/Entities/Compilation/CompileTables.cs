using System.Globalization;
using RuleEngineNats.Entities.Definitions;
using RuleEngineNats.Entities.Reading;
using RuleEngineNats.Entities.Yaml;

namespace RuleEngineNats.Entities.Compilation;

/// <summary>Tables, columns, keys and indexes.</summary>
internal sealed class CompileTables(Problems problems)
{
    private readonly Dictionary<string, string> _relations = new(StringComparer.Ordinal);

    public void Compile(EntityModel entity)
    {
        if (entity.Draft.Persistence is not { Table: { } name } persistence)
        {
            return;
        }

        Identifiers.CheckTable(name, problems);
        var free = Claim(name, name.Text, "a table");
        var table = new TableModel { Entity = entity, Name = name };
        entity.Table = table;
        AddKey(table, persistence);
        foreach (var field in entity.Fields.Where(field => !field.IsRepeated || field.Overridden))
        {
            table.Stored.Add(field);
            var nullable = field.Nullable && !table.PrimaryKey.Contains(field.Column);
            table.Columns.Add(new(field.Column, field.Name, FieldTypes.Kind(field.Plan!.Type), SqlType(field.Plan), nullable, Generated: false, field.Draft.Doc));
        }

        table.Columns.Add(new(EntityTable.IngestedAt, null, EntityValueKind.Timestamptz, "timestamp with time zone", Nullable: false, Generated: false, "When the document was accepted."));
        if (table.Columns.Count > EntityLimits.Columns)
        {
            problems.Add(name.Node, $"{table.Columns.Count} columns, at most {EntityLimits.Columns}", "split the entity");
        }

        AddUnicity(table, persistence);
        AddIndexes(table, persistence);
        if (free)
        {
            Claim(name, Identifiers.Relation(name.Text, [], "pkey"), "a primary key");
        }

        LimitKey(table, table.PrimaryKey, "btree");
    }

    // Tables and indexes share one space of names.
    private bool Claim(Word at, string relation, string what)
    {
        if (_relations.TryAdd(relation, what))
        {
            return true;
        }

        problems.Add(at.Node, $"'{relation}' is the name of {_relations[relation]} already, so {what} cannot have it", "choose another name");
        return false;
    }

    private static string SqlType(FieldPlan field) => field.Type switch
    {
        FieldType.String => field.Rules.MaxLength is { } length ? string.Create(CultureInfo.InvariantCulture, $"character varying({length})") : "text",
        FieldType.Integer => "bigint",
        FieldType.Float => "double precision",
        FieldType.Decimal => field.Rules.Precision is { } precision ? string.Create(CultureInfo.InvariantCulture, $"numeric({precision},{field.Rules.Scale})") : "numeric",
        FieldType.Boolean => "boolean",
        FieldType.DateTime => "timestamp with time zone",
        FieldType.Date => "date",
        _ => "jsonb",
    };

    private void AddKey(TableModel table, PersistenceDraft persistence)
    {
        var entity = table.Entity;
        var marked = entity.Fields.Where(field => field.Draft.PrimaryKey).ToList();
        if (persistence.PrimaryKey is { } key)
        {
            if (marked.Find(field => field.Name != key.Name.Text) is { } other)
            {
                problems.Add(other.Draft.Node, $"'{other.Name}' is a primary key, and so is '{key.Name}' of persistence", "keep one of the two");
            }

            AddNamedKey(table, key);
        }
        else if (marked.Count > 0)
        {
            marked.ForEach(field => AddKeyField(table, field, field.Draft.Node));
        }
        else
        {
            var id = persistence.IdColumn ?? new("id", persistence.Node);
            if (entity.Fields.Find(field => field.Column == id.Text) is { } field)
            {
                AddKeyField(table, field, id.Node);
            }
            else
            {
                AddGenerated(table, id);
            }
        }
    }

    private void AddNamedKey(TableModel table, KeyDraft key)
    {
        var field = table.Entity.Fields.Find(one => one.Name == key.Name.Text || one.Column == key.Name.Text);
        if (key.Autogenerate)
        {
            if (field is not null)
            {
                problems.Add(key.Name.Node, $"'{key.Name}' is generated, but it is a field as well", "rename one of the two, or remove autogenerate");
            }

            if (key.Type is { } type && FieldTypes.Find(type.Text) is not FieldType.Integer)
            {
                problems.Add(type.Node, $"'{type}' cannot be generated", "write Integer");
            }

            AddGenerated(table, key.Name);
        }
        else if (field is null)
        {
            problems.Add(key.Name.Node, $"unknown field '{key.Name}'", $"{Nearest.Fix(key.Name.Text, table.Entity.Fields.Select(one => one.Name))} or write autogenerate: true");
        }
        else
        {
            AddKeyField(table, field, key.Name.Node);
            if (key.Type is { } type && field.Type is { } own && FieldTypes.Find(type.Text) != own)
            {
                problems.Add(type.Node, $"the key is {type}, but the field is {FieldTypes.Name(own)}", "leave the type of the key out");
            }
        }
    }

    private void AddGenerated(TableModel table, Word name)
    {
        if (Identifiers.Check(name, "a column", problems))
        {
            Identifiers.CheckColumn(name, name.Text, problems);
        }

        table.PrimaryKey.Add(name.Text);
        table.Columns.Add(new(name.Text, null, EntityValueKind.Bigint, "bigint", Nullable: false, Generated: true, null));
    }

    private void AddKeyField(TableModel table, FieldModel field, YamlNode at)
    {
        table.PrimaryKey.Add(field.Column);
        if (field.Nullable)
        {
            problems.Add(at, $"'{field.Name}' is a primary key, but nullable", "write nullable: false");
        }

        RefuseJson(field, at, "a primary key");
    }

    private void RefuseJson(FieldModel field, YamlNode at, string what)
    {
        if (field.Type is { } type && FieldTypes.IsJson(type))
        {
            problems.Add(at, $"'{field.Name}' is {FieldTypes.Name(type)}, which {what} cannot be", "take a field out of it with json_get, and use that");
        }
    }

    private void AddUnicity(TableModel table, PersistenceDraft persistence)
    {
        if (persistence.Unicity.Count == 0)
        {
            // Two documents with the same key are the same row.
            table.Unicity.AddRange(table.Columns[0].Generated ? [] : table.PrimaryKey);
            return;
        }

        table.Unicity.AddRange(Columns(table, persistence.Unicity, "a unicity field"));
        var isJson = table.Stored.Exists(field => table.Unicity.Contains(field.Column) && FieldTypes.IsJson(field.Plan!.Type));
        if (!isJson && !table.Unicity.ToHashSet(StringComparer.Ordinal).SetEquals(table.PrimaryKey))
        {
            AddIndex(table, persistence.Unicity[0], Identifiers.Relation(table.Name.Text, table.Unicity, "key"), table.Unicity, true, null);
        }
    }

    private List<string> Columns(TableModel table, List<Word> words, string what)
    {
        var columns = new List<string>();
        foreach (var word in words)
        {
            var field = table.Stored.Find(one => one.Name == word.Text || one.Column == word.Text);
            if (field is null)
            {
                problems.Add(word.Node, $"unknown field '{word}'", Nearest.Fix(word.Text, table.Stored.Select(one => one.Name)));
                continue;
            }

            if (columns.Contains(field.Column))
            {
                problems.Add(word.Node, $"'{word}' is named twice", "remove one of the two");
                continue;
            }

            if (what == "a unicity field")
            {
                RefuseJson(field, word.Node, what);
            }

            columns.Add(field.Column);
        }

        if (columns.Count > EntityLimits.IndexColumns)
        {
            problems.Add(words[0].Node, $"{columns.Count} fields of one index, at most {EntityLimits.IndexColumns}", "name fewer");
        }

        return columns;
    }

    private void AddIndexes(TableModel table, PersistenceDraft persistence)
    {
        foreach (var field in table.Stored)
        {
            var at = new Word(field.Name, field.Draft.Node);
            if (field.Draft.Unique && !IsKey(table, field.Column))
            {
                AddIndex(table, at, Identifiers.Relation(table.Name.Text, [field.Column], "key"), [field.Column], true, null);
            }
            else if (field.Draft.Indexed && !IsKey(table, field.Column))
            {
                AddIndex(table, at, Identifiers.Relation(table.Name.Text, [field.Column], "idx"), [field.Column], false, null);
            }
        }

        foreach (var index in persistence.Indexes)
        {
            Identifiers.Check(index.Name, "an index", problems);
            if (index.Fields.Count == 0)
            {
                problems.Add(index.Name.Node, $"index '{index.Name}' has no fields", "add fields:");
                continue;
            }

            var columns = Columns(table, index.Fields, "an index field");
            AddIndex(table, index.Name, index.Name.Text, columns, index.Unique, index.Method);
        }
    }

    private static bool IsKey(TableModel table, string column) => table.PrimaryKey is [var key] && key == column || table.Unicity is [var unique] && unique == column;

    private void AddIndex(TableModel table, Word at, string name, List<string> columns, bool unique, Word? method)
    {
        var kind = method?.Text ?? "btree";
        if (kind is not ("btree" or "hash" or "gin"))
        {
            problems.Add(method!.Node, $"unknown index method '{kind}'", "one of btree, hash, gin");
            return;
        }

        if ((kind != "btree" && unique) || (kind == "hash" && columns.Count > 1))
        {
            problems.Add(method!.Node, $"a {kind} index {(unique ? "cannot be unique" : "has one column")}", "use btree");
        }

        foreach (var field in table.Stored.Where(field => columns.Contains(field.Column)))
        {
            var isJson = field.Type is { } type && FieldTypes.IsJson(type);
            if (isJson != (kind == "gin"))
            {
                problems.Add(at.Node, $"'{field.Name}' cannot be in a {kind} index", isJson ? "use gin" : "use btree");
            }
        }

        Claim(at, name, "an index");
        table.Indexes.Add(new(name, [.. columns], unique, kind));
        LimitKey(table, columns, kind);
    }

    private static void LimitKey(TableModel table, List<string> columns, string method)
    {
        var texts = table.Stored.Where(field => field.Type is FieldType.String && columns.Contains(field.Column)).ToList();
        foreach (var field in method == "btree" ? texts : [])
        {
            field.Plan!.Rules.MaxBytes = Math.Min(field.Plan.Rules.MaxBytes, EntityLimits.KeyBytes / texts.Count);
        }
    }
}
