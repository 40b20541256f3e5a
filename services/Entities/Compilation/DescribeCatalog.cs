using System.Globalization;
using System.Text;
using RuleEngineNats.Entities.Reading;

namespace RuleEngineNats.Entities.Compilation;

/// <summary>Writes down all that reading and storing depends on, the same for both forms of a definition; the version of a catalog is its hash.</summary>
internal static class DescribeCatalog
{
    public static string Describe(IEnumerable<EntityModel> entities, IReadOnlyList<EntityTable> tables)
    {
        var text = new StringBuilder();
        foreach (var entity in entities)
        {
            var draft = entity.Draft;
            Line(text, $"entity {entity.Name} {draft.Kind} {draft.Prefix} {entity.Frame!.Root.Draft.Validation} {entity.RepeatedFor?.Name}.{entity.RepeatedField?.Name}");
            Line(text, $"parents {string.Join(' ', entity.Parents.Select(parent => parent.Entity.Name))} exists {draft.Existence?.All} {string.Join(' ', draft.Existence?.Fields ?? [])}");
            foreach (var field in entity.Fields)
            {
                Describe(text, field);
            }
        }

        foreach (var table in tables)
        {
            Line(text, $"table {table.Name} unicity {string.Join(' ', table.Unicity)} publish {table.Publish}");
            foreach (var statement in EntityDdl.Statements(table))
            {
                Line(text, $"{statement}");
            }
        }

        return text.ToString();
    }

    private static void Describe(StringBuilder text, FieldModel field)
    {
        var (plan, rules) = (field.Plan!, field.Plan!.Rules);
        Line(text, $"field {plan.Name} {plan.Type} {plan.Nullable} {(plan.Slot < 0 ? "" : plan.Display)} default {Value(plan.Default)}");
        Line(text, $"length {rules.MinLength} {rules.MaxLength} {rules.MaxBytes} range {rules.Minimum} {rules.Maximum} {rules.MinimumDouble} {rules.MaximumDouble} numeric {rules.Precision} {rules.Scale}");
        Line(text, $"pattern {rules.Pattern} of {string.Join(' ', rules.Allowed?.Select(Convert.ToHexStringLower) ?? [])}");
        if (plan.Source is { } source)
        {
            Line(text, $"source {Value(source.Constant)} {string.Join(' ', source.Inputs.Select(Input))} if {(source.Condition is null ? "" : Input(source.Condition))} {Convert.ToHexStringLower(source.EqualTo)}");
        }
    }

    private static string Input(InputPlan input) => $"{input.Entity}:{input.Field}:{input.Depth}:{string.Join('.', input.Path.Select(Encoding.UTF8.GetString))}";

    private static string Value(in EntityValue value) => value.Kind switch
    {
        EntityValueKind.Null => "",
        EntityValueKind.Text or EntityValueKind.Jsonb => value.Text,
        EntityValueKind.Numeric => value.Numeric.ToString(CultureInfo.InvariantCulture),
        EntityValueKind.Real => value.Real.ToString("R", CultureInfo.InvariantCulture),
        EntityValueKind.Timestamptz => value.Timestamp.ToString("O", CultureInfo.InvariantCulture),
        EntityValueKind.Date => value.Date.ToString("O", CultureInfo.InvariantCulture),
        _ => value.Bigint.ToString(CultureInfo.InvariantCulture),
    };

    private static void Line(StringBuilder text, FormattableString line) => text.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');
}
