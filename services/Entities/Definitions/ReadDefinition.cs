using RuleEngineNats.Entities.Yaml;

namespace RuleEngineNats.Entities.Definitions;

/// <summary>Reads a document in whichever of the two forms it is.</summary>
internal static class ReadDefinition
{
    private const string V1 = "nomnom.io/v1";

    public static EntityDraft? Read(YamlNode document, Problems problems)
    {
        if (Keys.From(document, problems) is not { } keys)
        {
            return null;
        }

        if (keys.Node("apiVersion") is not null)
        {
            return ReadV1Form(keys);
        }

        var entity = keys.Section("entity");
        if (entity is null && keys.Node("entity") is null)
        {
            problems.Add(document, "no entity", $"begin with 'entity:', or with 'apiVersion: {V1}'");
            return null;
        }

        keys.End();
        return entity is null ? null : LegacyForm.Read(entity);
    }

    private static EntityDraft? ReadV1Form(Keys keys)
    {
        if (keys.Word("apiVersion") is { } version && version.Text != V1)
        {
            keys.Problems.Add(version.Node, $"unknown apiVersion '{version}'", $"write {V1}");
        }

        if (keys.Required("kind") is { } kind && kind.Text != "Entity")
        {
            keys.Problems.Add(kind.Node, $"unknown kind '{kind}'", "write Entity");
        }

        return V1Form.Read(keys);
    }

    /// <summary>Root, derived or reference; a root when nothing is said.</summary>
    public static EntityKind Kind(Word? type, Problems problems)
    {
        switch (type?.Text)
        {
            case null or "root":
                return EntityKind.Root;
            case "derived":
                return EntityKind.Derived;
            case "reference":
                return EntityKind.Reference;
            default:
                problems.Add(type.Node, $"unknown type of entity '{type}'", Nearest.Fix(type.Text, ["root", "derived", "reference"]));
                return EntityKind.Root;
        }
    }

    /// <summary>Singleton and repeated say what <c>repeated_for</c> says already; a contradiction is reported.</summary>
    public static void CheckRepetition(Word? repetition, RepeatDraft? repeat, string repeatedFor, Problems problems)
    {
        switch (repetition?.Text)
        {
            case null:
                return;
            case "singleton" when repeat is not null:
                problems.Add(repetition.Node, $"singleton, but {repeatedFor} is given", $"leave repetition out, or {repeatedFor}");
                return;
            case "repeated" when repeat is null:
                problems.Add(repetition.Node, $"repeated, but {repeatedFor} is missing", $"add {repeatedFor}, or leave repetition out");
                return;
            case "singleton" or "repeated":
                return;
            default:
                problems.Add(repetition.Node, $"unknown repetition '{repetition}'", Nearest.Fix(repetition.Text, ["singleton", "repeated"]));
                return;
        }
    }

    public static ForeignKeyDraft? ForeignKey(Keys keys, string parentEntity)
    {
        var column = keys.Required("name");
        var references = keys.Required("references");
        var entity = keys.Word(parentEntity);
        Located<bool>? nullable = keys.Flag("nullable") is { } flag ? new(flag, keys.Node("nullable")!) : null;
        keys.End();
        return column is null || references is null ? null : new(column, references, entity, nullable);
    }

    /// <summary>The subject of <c>publish: {subject: …}</c>.</summary>
    public static Word? Publish(Keys keys)
    {
        var publish = keys.Section("publish");
        var subject = publish?.Required("subject");
        publish?.End();
        return subject;
    }

    public static Located<int>? Number(Keys keys, string key, int least, int most)
        => keys.Number(key, least, most) is { } number ? new(number, keys.Node(key)!) : null;
}
