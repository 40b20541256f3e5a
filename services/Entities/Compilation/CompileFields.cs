using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using RuleEngineNats.Entities.Definitions;
using RuleEngineNats.Entities.Reading;
using RuleEngineNats.Entities.Yaml;

namespace RuleEngineNats.Entities.Compilation;

/// <summary>Types and constraints of an entity's fields.</summary>
internal sealed class CompileFields(Problems problems)
{
    public void Compile(EntityModel entity)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        var columns = new HashSet<string>(StringComparer.Ordinal);
        foreach (var field in entity.Fields)
        {
            if (Identifiers.Check(field.Draft.Name, "a field", problems))
            {
                Identifiers.CheckColumn(field.Draft.Name, field.Column, problems);
                if (!names.Add(field.Name) | !columns.Add(field.Column))
                {
                    problems.Add(field.Draft.Name.Node, $"a second field '{field.Name}', or one with the same column '{field.Column}'", "remove or rename one of the two");
                }
            }

            field.Type = FindType(field.Draft.Type);
            field.Plan = new FieldPlan
            {
                Name = field.Name,
                Display = field.Name,
                Type = field.Type ?? FieldType.String,
                Nullable = field.Nullable,
                Rules = field.Type is { } type ? ReadRules(field.Draft, type) : new(),
            };
            if (field.Type is not null && field.Draft.Constraints.Default is { } value)
            {
                field.Plan.Default = ReadConstant(value, field.Plan, "default");
            }
        }
    }

    private FieldType? FindType(Word? name)
    {
        if (name is null)
        {
            return null;
        }

        var type = FieldTypes.Find(name.Text);
        if (type is null)
        {
            problems.Add(name.Node, $"unknown type '{name}'", Nearest.Fix(name.Text, FieldTypes.All));
        }

        return type;
    }

    private FieldRules ReadRules(FieldDraft field, FieldType type)
    {
        var constraints = field.Constraints;
        ReadArguments(field, type);
        var rules = new FieldRules { MinLength = constraints.MinLength?.Value, MaxLength = constraints.MaxLength?.Value };
        OnlyFor(type is FieldType.String, "a String", constraints.MinLength?.Node, constraints.MaxLength?.Node, constraints.Pattern?.Node, constraints.EnumNode);
        OnlyFor(FieldTypes.IsNumber(type), "a number", constraints.Minimum?.Node, constraints.Maximum?.Node);
        OnlyFor(type is FieldType.Decimal, "a Decimal", constraints.Precision?.Node, constraints.Scale?.Node);
        if (rules.MinLength > rules.MaxLength)
        {
            problems.Add(constraints.MinLength!.Node, $"at least {rules.MinLength} and at most {rules.MaxLength} characters", "exchange or correct the two");
        }

        ReadRange(constraints, type, rules);
        ReadPrecision(constraints, rules);
        if (type is FieldType.String)
        {
            rules.Pattern = constraints.Pattern is { } pattern ? ReadPattern(pattern) : null;
            rules.Allowed = ReadAllowed(constraints, rules);
        }

        return rules;
    }

    private void ReadArguments(FieldDraft field, FieldType type)
    {
        var arguments = field.Arguments;
        if (arguments.Count == 0)
        {
            return;
        }

        var most = type switch { FieldType.String => 1, FieldType.Decimal => 2, _ => 0 };
        if (arguments.Count > most)
        {
            problems.Add(arguments[most], most == 0 ? $"{FieldTypes.Name(type)} takes no arguments" : "more arguments than the type takes", "write [length] for a String, [precision, scale] for a Decimal");
        }
        else if (type is FieldType.String)
        {
            field.Constraints.MaxLength = Number(arguments[0], 1, FieldTypes.LongestVarchar);
        }
        else
        {
            field.Constraints.Precision = Number(arguments[0], 1, 1000);
            field.Constraints.Scale = arguments.Count > 1 ? Number(arguments[1], 0, 1000) : null;
        }
    }

    private Located<int>? Number(YamlNode node, int least, int most) => Keys.ToNumber(node, least, most, problems) is { } number ? new(number, node) : null;

    private void OnlyFor(bool applies, string what, params YamlNode?[] nodes)
    {
        foreach (var node in applies ? [] : nodes.OfType<YamlNode>())
        {
            problems.Add(node, $"only {what} has this", "remove it, or change the type");
        }
    }

    private void ReadRange(ConstraintsDraft constraints, FieldType type, FieldRules rules)
    {
        if (!FieldTypes.IsNumber(type))
        {
            return;
        }

        rules.Minimum = Bound(constraints.Minimum, type, out var minimum);
        rules.Maximum = Bound(constraints.Maximum, type, out var maximum);
        (rules.MinimumDouble, rules.MaximumDouble) = (minimum, maximum);
        if (minimum > maximum || rules.Minimum > rules.Maximum)
        {
            problems.Add(constraints.Minimum!.Node, $"at least {constraints.Minimum} and at most {constraints.Maximum}", "exchange or correct the two");
        }
    }

    // A Float has its bounds as doubles, the other two as decimals: 0.1 is not the same in both.
    private decimal? Bound(Word? word, FieldType type, out double? real)
    {
        real = null;
        if (word is null)
        {
            return null;
        }

        if (type is FieldType.Float && double.TryParse(word.Text, NumberStyles.Float, CultureInfo.InvariantCulture, out var parsed) && double.IsFinite(parsed))
        {
            real = parsed;
            return null;
        }

        if (type is FieldType.Decimal && decimal.TryParse(word.Text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number))
        {
            return number;
        }

        if (type is FieldType.Integer && long.TryParse(word.Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var integer))
        {
            return integer;
        }

        problems.Add(word.Node, $"'{word}' is no value of {FieldTypes.Name(type)}", $"write {Wording.Wanted(type)}");
        return null;
    }

    private void ReadPrecision(ConstraintsDraft constraints, FieldRules rules)
    {
        rules.Precision = constraints.Precision?.Value;
        rules.Scale = constraints.Scale?.Value ?? 0;
        if (constraints.Scale is { } scale && constraints.Precision is null)
        {
            problems.Add(scale.Node, "a scale without a precision", "add the precision: all digits, those after the point among them");
        }
        else if (rules.Scale > rules.Precision)
        {
            problems.Add(constraints.Scale!.Node, $"{rules.Scale} digits after the point of {rules.Precision} in all", "raise the precision, or lower the scale");
        }
    }

    // Without backtracking the time is linear in the text, whoever wrote the pattern and the text.
    private Regex? ReadPattern(Word pattern)
    {
        if (pattern.Text.Length > EntityLimits.PatternLength)
        {
            problems.Add(pattern.Node, $"the pattern is longer than {EntityLimits.PatternLength} characters", "shorten it");
            return null;
        }

        try
        {
            return new Regex(pattern.Text, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
        }
        catch (NotSupportedException)
        {
            problems.Add(pattern.Node, "the pattern is too large, or has a lookaround, a backreference or an atomic group", "write it without: such patterns can take unbounded time");
        }
        catch (ArgumentException exception)
        {
            problems.Add(pattern.Node, $"no regular expression: {exception.Message.TrimEnd('.')}", "correct the pattern");
        }

        return null;
    }

    private byte[][]? ReadAllowed(ConstraintsDraft constraints, FieldRules rules)
    {
        if (constraints.EnumNode is null)
        {
            return null;
        }

        if (constraints.EnumNode is YamlSequence { Items.Count: 0 })
        {
            problems.Add(constraints.EnumNode, "allows no value at all", "list the values that are allowed");
        }

        foreach (var word in constraints.Enum)
        {
            var text = Encoding.UTF8.GetBytes(word.Text);
            if (CheckRules.Check(rules, EntityValue.FromUtf8(EntityValueKind.Text, text, 0, text.Length)) is var (_, message, _, _))
            {
                problems.Add(word.Node, $"'{word}' {message}, so it is never allowed", "remove it, or correct the other constraint");
            }
        }

        return [.. constraints.Enum.Select(word => Encoding.UTF8.GetBytes(word.Text))];
    }

    /// <summary>A default or a constant: read and checked as if a document had it.</summary>
    public EntityValue ReadConstant(YamlNode node, FieldPlan field, string what)
    {
        var json = ToJson.Convert(node, field.Type);
        if (json is null)
        {
            problems.Add(node, $"the {what} is not {Wording.Wanted(field.Type)}", Fix(node, field.Type));
            return default;
        }

        if (ReadValue.Read(field.Type, json.Value, out var value) is { } code)
        {
            problems.Add(node, $"the {what} {Wording.Misread(field.Type, code, json.Value.Type)}", Fix(node, field.Type));
            return default;
        }

        if (CheckRules.Check(field.Rules, value) is var (_, message, _, fix))
        {
            problems.Add(node, $"the {what} {message}", fix.Replace("send", "write", StringComparison.Ordinal));
        }

        return value;
    }

    private static string Fix(YamlNode node, FieldType type)
        => node is YamlScalar { Text: "now()" } ? $"leave it out: every table has {EntityTable.IngestedAt}, the time of acceptance" : $"write {Wording.Wanted(type)}";
}
