using RuleEngineNats.Entities.Yaml;

namespace RuleEngineNats.Entities.Definitions;

/// <summary>The form with one <c>entity:</c> and snake_case keys.</summary>
internal static class LegacyForm
{
    public static EntityDraft? Read(Keys keys)
    {
        var problems = keys.Problems;
        if (keys.Word("source_type") is { } first && keys.Word("type") is { } second)
        {
            problems.Add(second.Node, "both source_type and type are given", $"keep source_type: {first}");
        }

        var kind = ReadDefinition.Kind(keys.Word("source_type") ?? keys.Word("type"), problems);
        var name = keys.Required("name");
        var repeat = ReadRepeat(keys.Section("repeated_for"));
        ReadDefinition.CheckRepetition(keys.Word("repetition"), repeat, "repeated_for", problems);
        var draft = new EntityDraft
        {
            Node = keys.Mapping,
            Name = name ?? new("", keys.Mapping),
            Kind = kind,
            Abstract = keys.Flag("abstract") ?? false,
            Extends = keys.Word("extends"),
            Doc = keys.Word("doc")?.Text,
            Prefix = keys.Word("prefix"),
            Parents = ReadParents(keys),
            Repeat = repeat,
            Fields = [.. keys.Sections("fields").Select(ReadField).OfType<FieldDraft>()],
            Existence = ReadExistence(keys.Section("minimal_existence")),
            Persistence = ReadPersistence(keys.Section("persistence")),
            Publish = ReadDefinition.Publish(keys),
            Validation = keys.Word("validation"),
        };
        keys.End();
        return name is null ? null : draft;
    }

    private static List<ParentDraft> ReadParents(Keys keys)
    {
        var parents = new List<ParentDraft>();
        if (keys.Word("parent") is { } parent)
        {
            parents.Add(new(null, parent));
        }

        foreach (var node in keys.Nodes("parents"))
        {
            if (node is YamlScalar)
            {
                if (keys.ToWord(node) is { } word)
                {
                    parents.Add(new(null, word));
                }

                continue;
            }

            if (Keys.From(node, keys.Problems) is { } section)
            {
                // {name: order, type: Order}: type is the entity and name what fields call it.
                var (alias, entity) = (section.Word("name"), section.Required("type"));
                section.Word("doc");
                section.End();
                if (entity is not null)
                {
                    parents.Add(new(alias, entity));
                }
            }
        }

        return parents;
    }

    private static RepeatDraft? ReadRepeat(Keys? keys)
    {
        if (keys is null)
        {
            return null;
        }

        var (entity, field, item) = (keys.Required("entity"), keys.Required("field"), keys.Word("each_known_as"));
        keys.End();
        return entity is null || field is null ? null : new(entity, field, item);
    }

    private static ExistenceDraft? ReadExistence(Keys? keys)
    {
        if (keys is null)
        {
            return null;
        }

        var (any, all) = (keys.Words("require_any"), keys.Words("require_all"));
        keys.End();
        if (any.Count > 0 == all.Count > 0)
        {
            keys.Problems.Add(keys.Mapping, any.Count > 0 ? "both require_any and require_all are given" : "names no field", "name fields in one of require_any and require_all");
            return null;
        }

        return new(all.Count > 0, all.Count > 0 ? all : any);
    }

    private static FieldDraft? ReadField(Keys keys)
    {
        var field = ReadColumn(keys, typeRequired: true);
        if (field is null)
        {
            keys.End();
            return null;
        }

        if (keys.Node("constant") is { } constant)
        {
            field.Source = new() { Node = constant, Constant = constant };
        }

        if (keys.Section("computed_from") is { } computed)
        {
            if (field.Source is not null)
            {
                keys.Problems.Add(computed.Mapping, "both constant and computed_from are given", "keep one of the two");
            }

            field.Source = ReadComputed(computed);
        }

        keys.End();
        return field;
    }

    // What a field and an override of a field have in common.
    private static FieldDraft? ReadColumn(Keys keys, bool typeRequired)
    {
        var name = keys.Required("name");
        var type = typeRequired ? keys.Required("type") : keys.Word("type");
        var field = new FieldDraft
        {
            Node = keys.Mapping,
            Name = name ?? new("", keys.Mapping),
            Type = type,
            Nullable = keys.Flag("nullable"),
            Doc = keys.Word("doc")?.Text,
            PrimaryKey = keys.Flag("primary_key") ?? false,
            Indexed = keys.Flag("index") ?? false,
            Arguments = keys.Nodes("args"),
        };
        return name is null ? null : field;
    }

    private static SourceDraft ReadComputed(Keys keys)
    {
        var source = new SourceDraft { Node = keys.Mapping, Transform = keys.Required("transform") };
        foreach (var node in keys.Nodes("sources"))
        {
            if (ReadInput(node, keys) is { } input)
            {
                source.Inputs.Add(input);
            }
        }

        source.Argument = Transforms.Argument(keys);
        if (keys.Section("condition") is { } condition)
        {
            var field = condition.Node("field");
            var equal = condition.Required("equals");
            if (field is null)
            {
                keys.Problems.Add(condition.Mapping, "'field' is missing", "add field:");
            }

            condition.End();
            source.Condition = field is not null && equal is not null && ReadInput(field, condition) is { } input ? new(input, equal) : null;
        }

        keys.End();
        return source;
    }

    /// <summary>A name, or <c>{source: Order, field: order_key}</c>.</summary>
    internal static InputDraft? ReadInput(YamlNode node, Keys keys)
    {
        if (node is not YamlMapping)
        {
            return keys.ToWord(node) is { } word ? new(word, null) : null;
        }

        var section = Keys.From(node, keys.Problems)!;
        var source = section.Word("source") ?? section.Word("parent");
        var field = section.Required("field");
        if (source is null)
        {
            keys.Problems.Add(node, "'source' is missing", "add source:");
        }

        section.End();
        return source is null || field is null ? null : new(source, field);
    }

    private static PersistenceDraft? ReadPersistence(Keys? keys)
    {
        if (keys is null)
        {
            return null;
        }

        var draft = new PersistenceDraft { Node = keys.Mapping };
        if (keys.Section("database") is { } database)
        {
            draft.Table = database.Required("conformant_table");
            draft.IdColumn = database.Word("conformant_id_column");
            draft.Unicity = database.Words("unicity_fields");
            draft.ForeignKeys = [.. database.Sections("foreign_keys").Select(key => ReadDefinition.ForeignKey(key, "parent_entity")).OfType<ForeignKeyDraft>()];
            database.End();
        }
        else if (keys.Node("database") is null)
        {
            keys.Problems.Add(keys.Mapping, "'database' is missing", "add database: with conformant_table:, or leave persistence out");
        }

        draft.PrimaryKey = ReadKey(keys.Section("primary_key"));
        foreach (var section in keys.Sections("field_overrides"))
        {
            var field = ReadColumn(section, typeRequired: false);
            section.End();
            if (field is not null)
            {
                draft.Overrides.Add(field);
            }
        }

        keys.End();
        return draft;
    }

    private static KeyDraft? ReadKey(Keys? keys)
    {
        if (keys is null)
        {
            return null;
        }

        var (name, type, autogenerate) = (keys.Required("name"), keys.Word("type"), keys.Flag("autogenerate") ?? false);
        keys.End();
        return name is null ? null : new(name, type, autogenerate);
    }
}
