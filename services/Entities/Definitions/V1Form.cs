using RuleEngineNats.Entities.Yaml;

namespace RuleEngineNats.Entities.Definitions;

/// <summary>The form of <c>apiVersion: nomnom.io/v1</c>, with camelCase keys.</summary>
internal static class V1Form
{
    public static EntityDraft? Read(Keys keys)
    {
        var problems = keys.Problems;
        var metadata = keys.Section("metadata");
        var spec = keys.Section("spec");
        // What a running system says about the entity is none of ours; it is legal in a file all the same.
        keys.Node("status");
        keys.End();
        foreach (var part in new[] { "metadata", "spec" })
        {
            if (keys.Node(part) is null)
            {
                problems.Add(keys.Mapping, $"'{part}' is missing", $"add {part}:");
            }
        }

        var (name, doc) = ReadMetadata(metadata);
        if (spec is null)
        {
            return null;
        }

        var draft = ReadSpec(spec, name ?? new("", keys.Mapping), doc);
        return name is null ? null : draft;
    }

    private static (Word? Name, string? Doc) ReadMetadata(Keys? keys)
    {
        if (keys is null)
        {
            return (null, null);
        }

        var name = keys.Required("name");
        keys.Section("labels");
        var doc = keys.Section("annotations")?.Word("description")?.Text;
        keys.End();
        return (name, doc);
    }

    private static EntityDraft ReadSpec(Keys keys, Word name, string? doc)
    {
        var kind = ReadDefinition.Kind(keys.Required("type"), keys.Problems);
        var (parents, repeat) = ReadDerivation(keys.Section("derivation"));
        ReadDefinition.CheckRepetition(keys.Word("repetition"), repeat, "repeatedFor", keys.Problems);
        var draft = new EntityDraft
        {
            Node = keys.Mapping,
            Name = name,
            Kind = kind,
            Abstract = keys.Flag("abstract") ?? false,
            Extends = keys.Word("extends"),
            Doc = doc,
            Prefix = keys.Word("prefix"),
            Parents = parents,
            Repeat = repeat,
            Fields = [.. keys.Sections("fields").Select(ReadField).OfType<FieldDraft>()],
            Existence = ReadExistence(keys.Section("minimalExistence")),
            Persistence = ReadPersistence(keys.Section("persistence")),
            Publish = ReadDefinition.Publish(keys),
            Validation = keys.Word("validation"),
        };
        keys.End();
        return draft;
    }

    private static (List<ParentDraft> Parents, RepeatDraft? Repeat) ReadDerivation(Keys? keys)
    {
        if (keys is null)
        {
            return ([], null);
        }

        var parents = new List<ParentDraft>();
        if (keys.Word("parent") is { } parent)
        {
            parents.Add(new(null, parent));
        }

        foreach (var section in keys.Sections("parents"))
        {
            var (alias, entity) = (section.Word("name"), section.Required("entity"));
            section.Word("doc");
            section.End();
            if (entity is not null)
            {
                parents.Add(new(alias, entity));
            }
        }

        RepeatDraft? repeat = null;
        if (keys.Section("repeatedFor") is { } repeated)
        {
            var (entity, field, item) = (repeated.Required("entity"), repeated.Required("field"), repeated.Word("itemName"));
            repeated.End();
            repeat = entity is null || field is null ? null : new(entity, field, item);
        }

        keys.End();
        return (parents, repeat);
    }

    private static ExistenceDraft? ReadExistence(Keys? keys)
    {
        if (keys is null)
        {
            return null;
        }

        var (any, all) = (keys.Words("requireAny"), keys.Words("requireAll"));
        keys.End();
        if (any.Count > 0 == all.Count > 0)
        {
            keys.Problems.Add(keys.Mapping, any.Count > 0 ? "both requireAny and requireAll are given" : "names no field", "name fields in one of requireAny and requireAll");
            return null;
        }

        return new(all.Count > 0, all.Count > 0 ? all : any);
    }

    private static FieldDraft? ReadField(Keys keys)
    {
        var name = keys.Required("name");
        var field = new FieldDraft
        {
            Node = keys.Mapping,
            Name = name ?? new("", keys.Mapping),
            Type = keys.Required("type"),
            Doc = keys.Word("doc")?.Text,
        };
        if (keys.Section("constraints") is { } constraints)
        {
            ReadConstraints(constraints, field);
        }

        field.Source = ReadSource(keys.Section("source"));
        keys.End();
        return name is null ? null : field;
    }

    private static void ReadConstraints(Keys keys, FieldDraft field)
    {
        field.Nullable = keys.Flag("nullable");
        field.PrimaryKey = keys.Flag("primaryKey") ?? false;
        field.Indexed = keys.Flag("indexed") ?? false;
        field.Unique = keys.Flag("unique") ?? false;
        field.Constraints = new ConstraintsDraft
        {
            MaxLength = ReadDefinition.Number(keys, "maxLength", 1, FieldTypes.LongestVarchar),
            MinLength = ReadDefinition.Number(keys, "minLength", 0, FieldTypes.LongestVarchar),
            Minimum = keys.Word("minimum"),
            Maximum = keys.Word("maximum"),
            Pattern = keys.Word("pattern"),
            Enum = keys.Words("enum"),
            EnumNode = keys.Node("enum"),
            Default = keys.Node("default"),
            Precision = ReadDefinition.Number(keys, "precision", 1, 1000),
            Scale = ReadDefinition.Number(keys, "scale", 0, 1000),
        };
        keys.End();
    }

    private static SourceDraft? ReadSource(Keys? keys)
    {
        if (keys is null)
        {
            return null;
        }

        var source = new SourceDraft { Node = keys.Mapping, Transform = keys.Word("transform"), Constant = keys.Node("constant") };
        var (copyFrom, field) = (keys.Word("copyFrom"), keys.Word("field"));
        foreach (var node in keys.Nodes("inputs"))
        {
            if (LegacyForm.ReadInput(node, keys) is { } input)
            {
                source.Inputs.Add(input);
            }
        }

        source.Argument = Transforms.Argument(keys);
        source.Condition = ReadCondition(keys.Section("condition"));
        keys.End();
        var given = (copyFrom is null ? 0 : 1) + (source.Transform is null ? 0 : 1) + (source.Constant is null ? 0 : 1);
        if (given != 1 || (copyFrom is null) != (field is null))
        {
            keys.Problems.Add(keys.Mapping, "not exactly one of copyFrom with field, transform and constant", "give one of the three");
            return null;
        }

        if (copyFrom is not null)
        {
            source.Transform = new(Transforms.Copy, copyFrom.Node);
            source.Inputs = [new(copyFrom, field)];
        }

        return source;
    }

    private static ConditionDraft? ReadCondition(Keys? keys)
    {
        if (keys is null)
        {
            return null;
        }

        var (field, equal) = (keys.Node("field"), keys.Required("equals"));
        if (field is null)
        {
            keys.Problems.Add(keys.Mapping, "'field' is missing", "add field:");
        }

        keys.End();
        return field is not null && equal is not null && LegacyForm.ReadInput(field, keys) is { } input ? new(input, equal) : null;
    }

    private static PersistenceDraft? ReadPersistence(Keys? keys)
    {
        if (keys is null)
        {
            return null;
        }

        var enabled = keys.Flag("enabled") ?? true;
        var draft = new PersistenceDraft { Node = keys.Mapping, Table = enabled ? keys.Required("table") : keys.Word("table") };
        if (keys.Section("unicity") is { } unicity)
        {
            draft.Unicity = unicity.Words("fields");
            unicity.End();
        }

        foreach (var section in keys.Sections("indexes"))
        {
            var (name, fields) = (section.Required("name"), section.Words("fields"));
            var index = name is null ? null : new IndexDraft(name, fields, section.Flag("unique") ?? false, section.Word("method"));
            section.Flag("unique");
            section.Word("method");
            section.End();
            if (index is not null)
            {
                draft.Indexes.Add(index);
            }
        }

        draft.ForeignKeys = [.. keys.Sections("foreignKeys").Select(key => ReadDefinition.ForeignKey(key, "parentEntity")).OfType<ForeignKeyDraft>()];
        keys.End();
        return enabled ? draft : null;
    }
}
