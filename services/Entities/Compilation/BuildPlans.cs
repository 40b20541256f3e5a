using System.Text;
using RuleEngineNats.Entities.Reading;

namespace RuleEngineNats.Entities.Compilation;

/// <summary>Makes what the reader works with out of the models of a root and of all that derives from it.</summary>
internal static class BuildPlans
{
    public static RootPlan Root(Entity entity, FrameModel root, List<TableModel> tables)
    {
        var entities = new SortedDictionary<int, EntityPlan>();
        var frames = new List<FramePlan>();
        var frame = Frame(root, null, frames, entities);
        var stored = tables.Where(table => table.Entity.Frame!.Root == root.Owner).Select(table => table.Entity.Plan!);
        return new(entity, frame, [.. entities.Values], [.. frames]) { Stored = [.. stored] };
    }

    private static FramePlan Frame(FrameModel model, FramePlan? parent, List<FramePlan> frames, SortedDictionary<int, EntityPlan> entities)
    {
        var owner = model.Owner;
        var plan = new FramePlan
        {
            Index = frames.Count,
            Depth = model.Depth,
            Parent = parent,
            ListEntity = owner.RepeatedFor?.Index ?? 0,
            ListField = owner.RepeatedField?.Ordinal ?? 0,
            ListPath = owner.RepeatedField?.Plan!.Display ?? "",
            Item = owner.Draft.Repeat?.Item?.Text,
            Properties = [.. model.Properties.Select(Encoding.UTF8.GetBytes)],
        };
        frames.Add(plan);
        foreach (var one in model.Entities)
        {
            entities.Add(one.Index, one.Plan = Entity(one));
        }

        plan.Entities = [.. model.Entities.Select(one => one.Plan!)];
        plan.Children = [.. model.Children.Select(child => Frame(child, plan, frames, entities))];
        return plan;
    }

    private static EntityPlan Entity(EntityModel model)
    {
        var plan = new EntityPlan
        {
            Index = model.Index,
            Name = model.Name,
            Fields = [.. model.Fields.Select(field => field.Plan!)],
            Parents = [.. model.Parents.Select(parent => parent.Entity.Index).Distinct()],
            Table = model.Table?.Table,
            RowFields = [.. model.Table?.Stored.Select(field => field.Ordinal) ?? []],
        };
        if (model.Draft.Existence is { } existence)
        {
            plan.MustExist = [.. existence.Fields.Select(word => model.Field(word.Text)!.Ordinal)];
            plan.MustAllExist = existence.All;
        }

        return plan;
    }
}
