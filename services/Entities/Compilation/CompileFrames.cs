using RuleEngineNats.Entities.Definitions;
using RuleEngineNats.Entities.Yaml;

namespace RuleEngineNats.Entities.Compilation;

/// <summary>
/// Finds what each entity derives from and which object of the document it is made of: the document itself, or an item of the list that the nearest
/// repeated entity above it is repeated for. One such object is a frame.
/// </summary>
internal sealed class CompileFrames(Dictionary<string, EntityModel> entities, Problems problems)
{
    /// <summary>All entities, each after those it derives from; those that have a problem are left out.</summary>
    public List<EntityModel> Compile(IReadOnlyList<EntityModel> models)
    {
        foreach (var model in models)
        {
            FindParents(model);
        }

        var ordered = new List<EntityModel>();
        var visited = new HashSet<EntityModel>();
        foreach (var model in models)
        {
            Visit(model, [], visited, ordered);
        }

        foreach (var model in ordered)
        {
            Place(model);
        }

        return [.. ordered.Where(model => model.Frame is not null)];
    }

    private void FindParents(EntityModel model)
    {
        var draft = model.Draft;
        if (draft.Kind is not EntityKind.Derived)
        {
            if ((draft.Repeat?.Entity ?? draft.Parents.FirstOrDefault()?.Entity) is { } parent)
            {
                problems.Add(parent.Node, $"a {Kind(draft)} entity derives from nothing", "make it a derived entity, or remove the parent");
            }

            return;
        }

        if (draft.Repeat is null && draft.Parents.Count == 0)
        {
            problems.Add(draft.Name.Node, $"derived entity '{model.Name}' has no parent", "say what it derives from: parent, parents or repeated_for (repeatedFor)");
        }

        if (draft.Repeat is { } repeat && Find(repeat.Entity) is { } repeated)
        {
            (model.RepeatedFor, model.RepeatedField) = (repeated, FindList(repeated, repeat.Field));
        }

        foreach (var parent in draft.Parents)
        {
            if (Find(parent.Entity) is { } entity)
            {
                model.Parents.Add((parent.Alias?.Text ?? entity.Name, entity));
            }
        }
    }

    private EntityModel? Find(Word name)
    {
        if (!entities.TryGetValue(name.Text, out var entity))
        {
            if (!problems.Incomplete)
            {
                problems.Add(name.Node, $"unknown entity '{name}'", Nearest.Fix(name.Text, entities.Keys));
            }

            return null;
        }

        if (entity.Draft.Kind is EntityKind.Reference || entity.Draft.Abstract)
        {
            problems.Add(name.Node, $"nothing derives from '{name}': it is {(entity.Draft.Abstract ? "abstract" : "a reference entity")}", "name a root or a derived entity");
            return null;
        }

        return entity;
    }

    private FieldModel? FindList(EntityModel entity, Word name)
    {
        var field = entity.Field(name.Text);
        if (field is null)
        {
            problems.Add(name.Node, $"unknown field '{name}' of {entity.Name}", Nearest.Fix(name.Text, entity.Fields.Select(other => other.Name)));
        }
        else if (field.Type is not (null or FieldType.ListOfObjects or FieldType.ListOfStrings))
        {
            problems.Add(name.Node, $"'{name}' of {entity.Name} is no list", "name a field of type List[Object] or List[String]");
            return null;
        }

        if (field is not null)
        {
            field.IsRepeated = true;
        }

        return field;
    }

    private void Visit(EntityModel model, List<EntityModel> path, HashSet<EntityModel> visited, List<EntityModel> ordered)
    {
        var begin = path.IndexOf(model);
        if (begin >= 0)
        {
            var circle = path[begin..];
            var first = circle.MinBy(one => (one.Draft.Name.Node.File, one.Draft.Name.Node.Line))!;
            var start = circle.IndexOf(first);
            var names = circle[start..].Concat(circle[..start]).Append(first).Select(one => one.Name);
            problems.Add(first.Draft.Name.Node, $"'{first.Name}' derives from itself: {string.Join(" from ", names)}", "break the circle");
            return;
        }

        if (visited.Contains(model))
        {
            return;
        }

        path.Add(model);
        foreach (var parent in model.DerivesFrom)
        {
            Visit(parent, path, visited, ordered);
        }

        path.RemoveAt(path.Count - 1);
        if (visited.Add(model))
        {
            ordered.Add(model);
        }
    }

    private void Place(EntityModel model)
    {
        if (model.Draft.Kind is not EntityKind.Derived)
        {
            model.Frame = new(null, model);
            return;
        }

        var frames = model.DerivesFrom.Select(parent => parent.Frame).ToList();
        if (frames.Count == 0 || frames.Contains(null) || (model.Draft.Repeat is not null && model.RepeatedField is null))
        {
            return;
        }

        // Where an entity has several parents, there is one of it for each item that the innermost of them has one for.
        var innermost = model.RepeatedFor?.Frame ?? frames.MaxBy(frame => frame!.Depth)!;
        if (frames.Find(frame => !innermost.Chain.Contains(frame)) is { } outside)
        {
            var (one, other) = (innermost.Owner.Name, outside.Owner.Name);
            problems.Add(model.Draft.Name.Node, $"'{model.Name}' has no one item that all its parents are about: {one} and {other} are apart", "name parents of which one contains the other");
            return;
        }

        if (innermost.Depth == Contracts.PayloadRules.MaxDepth / 2 && model.RepeatedFor is not null)
        {
            problems.Add(model.Draft.Name.Node, $"more than {innermost.Depth} lists in lists", "write it flatter");
            return;
        }

        if (model.RepeatedFor is null)
        {
            model.Frame = innermost;
            innermost.Entities.Add(model);
        }
        else
        {
            model.Frame = new(innermost, model);
            innermost.Children.Add(model.Frame);
        }
    }

    private static string Kind(EntityDraft draft) => draft.Kind is EntityKind.Root ? "root" : "reference";
}
