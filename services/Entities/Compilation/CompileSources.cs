using System.Text;
using RuleEngineNats.Entities.Definitions;
using RuleEngineNats.Entities.Reading;
using RuleEngineNats.Entities.Yaml;

namespace RuleEngineNats.Entities.Compilation;

/// <summary>Where the values of an entity's fields come from.</summary>
internal sealed class CompileSources(CompileFields fields, Problems problems)
{
    public void Compile(EntityModel entity)
    {
        foreach (var field in entity.Fields)
        {
            if (field.Draft.Source is { } source && field.Type is not null)
            {
                Compile(entity, field, source);
            }
            else
            {
                field.Plan!.Slot = entity.Frame!.Slot(field.Name);
            }
        }
    }

    private void Compile(EntityModel entity, FieldModel field, SourceDraft source)
    {
        var transform = source.Transform?.Text;
        if (source.Constant is not null || transform == Transforms.Constant)
        {
            CompileConstant(field, source);
        }
        else if (transform is Transforms.Copy or Transforms.Coalesce or Transforms.CopyIf)
        {
            CompileCopy(entity, field, source);
        }
        else if (transform is not null && Transforms.IsGet(transform, out var types, out var optional))
        {
            CompileGet(entity, field, source, types, optional);
        }
        else if (transform is not null)
        {
            problems.Add(source.Transform!.Node, $"unknown transform '{transform}'", Nearest.Fix(transform, Transforms.All));
        }
    }

    private void CompileConstant(FieldModel field, SourceDraft source)
    {
        var value = source.Constant ?? source.Argument;
        if (value is null)
        {
            problems.Add(source.Node, "constant_value has no constant", "add args: {value: ...}");
            return;
        }

        if (source.Condition is { } condition)
        {
            problems.Add(condition.EqualTo.Node, "a constant has no condition", "use copy_field_conditional, or remove the condition");
        }

        if (field.Draft.Constraints.Default is { } fallback)
        {
            problems.Add(fallback, "a default, but the value is a constant", "remove one of the two");
        }

        field.Plan!.Source = new() { Constant = fields.ReadConstant(value, field.Plan, "constant") };
    }

    private void CompileCopy(EntityModel entity, FieldModel field, SourceDraft source)
    {
        var transform = source.Transform!;
        if (source.Argument is { } argument)
        {
            problems.Add(argument, $"{transform} takes no arguments", "remove args");
        }

        if (source.Inputs.Count == 0)
        {
            problems.Add(source.Node, $"{transform} has no source", "add sources (inputs): what to copy");
            return;
        }

        if (transform.Text == Transforms.CopyIf && (source.Condition is null || source.Inputs.Count > 2))
        {
            problems.Add(source.Node, "copy_field_conditional takes a condition and one or two sources", "give condition: {field, equals}, a source where it holds and, if wanted, one where it does not");
            return;
        }

        var inputs = source.Inputs.Select(input => Input(entity, field, input, null, sameType: true)).ToList();
        Finish(entity, field, source, inputs);
    }

    private void CompileGet(EntityModel entity, FieldModel field, SourceDraft source, FieldType[] types, bool optional)
    {
        var transform = source.Transform!;
        if (types.Length > 0 && !types.Contains(field.Type!.Value))
        {
            problems.Add(transform.Node, $"{transform} gives no {FieldTypes.Name(field.Type.Value)}", $"use {Transforms.Get}, or make the field {string.Join(" or ", types.Select(FieldTypes.Name))}");
        }

        if (optional && !field.Nullable && field.Draft.Constraints.Default is null)
        {
            problems.Add(transform.Node, $"{transform} may give nothing, but '{field.Name}' is not nullable", $"write nullable: true, or {transform.Text.Replace("optional_", "", StringComparison.Ordinal).Replace("_optional", "", StringComparison.Ordinal)}");
        }

        if (source.Argument is not YamlScalar { IsNull: false } path || path.Text.Split('.').Any(name => name.Length == 0))
        {
            problems.Add(source.Argument ?? source.Node, $"{transform} has no path", "add args: {field: name}, or {field: outer.inner}");
            return;
        }

        if (source.Inputs.Count > 1)
        {
            problems.Add(source.Inputs[1].Source.Node, $"{transform} takes one source", "remove the others, or use coalesce");
            return;
        }

        // Without a source it is the object of the entity itself.
        var origin = source.Inputs.Count == 0 ? new InputDraft(new("self", source.Node), null) : source.Inputs[0];
        Finish(entity, field, source, [Input(entity, field, origin, path.Text, sameType: false)]);
    }

    private void Finish(EntityModel entity, FieldModel field, SourceDraft source, List<InputPlan?> inputs)
    {
        var condition = source.Condition is { } draft ? Input(entity, field, draft.Field, null, sameType: false) : null;
        if (inputs.Contains(null) || (source.Condition is not null && condition is null))
        {
            return;
        }

        // A property of the own object, the common case of json_get, needs no search of its own.
        if (condition is null && inputs is [{ Entity: < 0, Path.Length: 1 } only] && only.Depth == entity.Frame!.Depth)
        {
            field.Plan!.Slot = entity.Frame.Slot(Encoding.UTF8.GetString(only.Path[0]));
            field.Plan.Display = only.Display!;
            return;
        }

        field.Plan!.Source = new() { Inputs = [.. inputs!], Condition = condition, EqualTo = Encoding.UTF8.GetBytes(source.Condition?.EqualTo.Text ?? "") };
    }

    private InputPlan? Input(EntityModel entity, FieldModel field, InputDraft input, string? path, bool sameType)
    {
        var frame = entity.Frame!;
        var name = input.Source.Text;
        if (frame.Chain.FirstOrDefault(one => one.Owner.Draft.Repeat?.Item?.Text == name) is { } item)
        {
            return Object(item, Join(input.Field?.Text, path));
        }

        if (FindEntity(entity, name) is { } source)
        {
            if (source.Frame == frame && frame.Entities.IndexOf(source) > frame.Entities.IndexOf(entity))
            {
                problems.Add(input.Source.Node, $"'{source.Name}' is read after '{entity.Name}'", $"name it among the parents of '{entity.Name}'");
                return null;
            }

            return input.Field is { } word ? Field(entity, field, source, word, path, sameType)
                : path is not null ? Object(source.Frame!, path) : NoField(input.Source);
        }

        if (input.Field is null && entity.Field(name) is not null)
        {
            return Field(entity, field, entity, input.Source, path, sameType);
        }

        if (!problems.Incomplete)
        {
            problems.Add(input.Source.Node, $"unknown source '{name}'", Nearest.Fix(name, Names(entity)));
        }

        return null;
    }

    private InputPlan? NoField(Word source)
    {
        problems.Add(source.Node, $"'{source}' is an entity, not a field", "write {source: entity, field: name}");
        return null;
    }

    private static EntityModel? FindEntity(EntityModel entity, string name)
    {
        if (name == "self" || name == entity.Name)
        {
            return entity;
        }

        var parent = entity.Parents.Find(one => one.Alias == name).Entity;
        return parent ?? entity.Frame!.Chain.SelectMany(frame => frame.Entities).FirstOrDefault(other => other.Name == name);
    }

    private static IEnumerable<string> Names(EntityModel entity)
    {
        var items = entity.Frame!.Chain.Select(frame => frame.Owner.Draft.Repeat?.Item?.Text).OfType<string>();
        return items.Concat(entity.Parents.Select(parent => parent.Alias))
            .Concat(entity.Frame.Chain.SelectMany(frame => frame.Entities).Select(other => other.Name))
            .Concat(entity.Fields.Select(field => field.Name));
    }

    private static InputPlan Object(FrameModel frame, string? path) => new(-1, 0, frame.Depth, Split(path), path ?? "");

    private InputPlan? Field(EntityModel entity, FieldModel target, EntityModel source, Word word, string? path, bool sameType)
    {
        // The first name is the field; what follows leads into its JSON.
        var names = Join(word.Text, path)!.Split('.', 2);
        var field = source.Field(names[0]);
        if (field is null)
        {
            problems.Add(word.Node, $"unknown field '{names[0]}' of {source.Name}", Nearest.Fix(names[0], source.Fields.Select(other => other.Name)));
            return null;
        }

        if (source == entity && field.Ordinal >= target.Ordinal)
        {
            problems.Add(word.Node, $"'{field.Name}' is not before '{target.Name}'", "move the field it is made of up");
            return null;
        }

        if (names.Length > 1 && field.Type is not (null or FieldType.Object))
        {
            problems.Add(word.Node, $"'{field.Name}' of {source.Name} is no Object", "name a field of type Object, or leave the path out");
            return null;
        }

        if (names.Length == 1 && sameType && field.Type is { } type && type != target.Type)
        {
            problems.Add(word.Node, $"'{field.Name}' is {FieldTypes.Name(type)}, '{target.Name}' is {FieldTypes.Name(target.Type!.Value)}", "give both the same type");
            return null;
        }

        var display = names.Length > 1 ? $"{field.Plan!.Display}.{names[1]}" : null;
        return new(source.Index, field.Ordinal, source.Frame!.Depth, Split(names.Length > 1 ? names[1] : null), display);
    }

    private static string? Join(string? one, string? other) => one is null ? other : other is null ? one : $"{one}.{other}";

    private static byte[][] Split(string? path) => path is null ? [] : [.. path.Split('.').Select(Encoding.UTF8.GetBytes)];
}
