using RuleEngineNats.Entities.Definitions;
using RuleEngineNats.Entities.Yaml;

namespace RuleEngineNats.Entities.Compilation;

/// <summary>Gives entities what they extend, and fields what their overrides say.</summary>
internal sealed class MergeDrafts(List<EntityDraft> drafts, Problems problems)
{
    private readonly Dictionary<EntityDraft, EntityDraft?> _merged = [];

    /// <summary>The entity with all it inherits; itself where that leads in a circle, which is reported.</summary>
    public EntityDraft Merge(EntityDraft draft)
    {
        if (_merged.TryGetValue(draft, out var merged))
        {
            if (merged is null)
            {
                problems.Add(draft.Extends!.Node, $"'{draft.Name}' extends itself", "break the circle");
            }

            return merged ?? draft;
        }

        _merged[draft] = null;
        merged = Base(draft) is { } parent ? Combine(draft, Merge(parent)) : draft;
        _merged[draft] = merged;
        return merged;
    }

    private EntityDraft? Base(EntityDraft draft)
    {
        if (draft.Extends is not { } name)
        {
            return null;
        }

        var found = drafts.Find(other => other.Name.Text == name.Text);
        if (found is null && !problems.Incomplete)
        {
            problems.Add(name.Node, $"unknown entity '{name}'", Nearest.Fix(name.Text, drafts.Select(other => other.Name.Text)));
        }

        return found;
    }

    private static EntityDraft Combine(EntityDraft own, EntityDraft inherited) => new()
    {
        Node = own.Node,
        Name = own.Name,
        Kind = own.Kind,
        Abstract = own.Abstract,
        Doc = own.Doc ?? inherited.Doc,
        Prefix = own.Prefix,
        Parents = own.Parents.Count > 0 ? own.Parents : inherited.Parents,
        Repeat = own.Repeat ?? inherited.Repeat,
        Fields = [.. inherited.Fields.Where(field => own.Fields.TrueForAll(other => other.Name.Text != field.Name.Text)), .. own.Fields],
        Existence = own.Existence ?? inherited.Existence,
        Persistence = own.Persistence ?? inherited.Persistence,
        Publish = own.Publish ?? inherited.Publish,
        Validation = own.Validation ?? inherited.Validation,
    };

    /// <summary>The fields of an entity, each with its override.</summary>
    public IEnumerable<(FieldDraft Field, bool Overridden)> Fields(EntityDraft draft)
    {
        var overrides = draft.Persistence?.Overrides ?? [];
        foreach (var extra in overrides.Where(over => draft.Fields.TrueForAll(field => field.Name.Text != over.Name.Text)))
        {
            problems.Add(extra.Name.Node, $"unknown field '{extra.Name}'", Nearest.Fix(extra.Name.Text, draft.Fields.Select(field => field.Name.Text)));
        }

        foreach (var repeated in overrides.GroupBy(over => over.Name.Text, StringComparer.Ordinal).Where(group => group.Count() > 1))
        {
            problems.Add(repeated.Last().Name.Node, $"'{repeated.Key}' is overridden twice", "remove one of the two");
        }

        foreach (var field in draft.Fields)
        {
            var over = overrides.Find(candidate => candidate.Name.Text == field.Name.Text);
            yield return over is null ? (field, false) : (Override(field, over), true);
        }
    }

    private static FieldDraft Override(FieldDraft field, FieldDraft over) => new()
    {
        Node = over.Node,
        Name = field.Name,
        Type = over.Type ?? field.Type,
        Nullable = over.Nullable ?? field.Nullable,
        Doc = over.Doc ?? field.Doc,
        PrimaryKey = over.PrimaryKey || field.PrimaryKey,
        Indexed = over.Indexed || field.Indexed,
        Unique = field.Unique,
        Arguments = over.Arguments.Count > 0 ? over.Arguments : field.Arguments,
        Constraints = field.Constraints,
        Source = field.Source,
    };
}
