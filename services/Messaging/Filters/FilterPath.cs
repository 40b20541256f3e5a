using System.Text.Json;

namespace RuleEngineNats.Messaging;

/// <summary>One accessor of a path.</summary>
internal abstract record FilterStep
{
    private FilterStep()
    {
    }

    /// <summary><c>.name</c>.</summary>
    public sealed record Member(string Name) : FilterStep;

    /// <summary><c>[*]</c>.</summary>
    public sealed record AnyElement : FilterStep;

    /// <summary><c>[index]</c>.</summary>
    public sealed record Element(int Index) : FilterStep;

    /// <summary><c>?(condition)</c>.</summary>
    public sealed record Where(FilterCondition Condition) : FilterStep;
}

/// <summary>What a path starts from: <c>$</c> and, inside a filter, <c>@</c>.</summary>
/// <param name="Root">The document.</param>
/// <param name="Current">What the innermost filter looks at.</param>
/// <param name="Work">Counts the steps of one evaluation.</param>
internal readonly record struct FilterScope(JsonElement Root, JsonElement Current, FilterWork Work);

/// <summary>The bound of one evaluation: a path inside a filter over another path has the product of their lengths, and the publisher chooses both.</summary>
internal sealed class FilterWork
{
    private const int MaxSteps = 1_000_000;

    private int _steps;

    /// <param name="steps">How many values are looked at.</param>
    /// <exception cref="FilterTooCostlyException">It was too much.</exception>
    public void Step(int steps = 1)
    {
        _steps += steps;
        if (_steps > MaxSteps)
        {
            throw new FilterTooCostlyException();
        }
    }

    /// <summary>The text of a string, which may be as long as the whole document and be read for each of its other values.</summary>
    public string TextOf(JsonElement value)
    {
        var text = value.GetString()!;
        Step(text.Length / 64);
        return text;
    }
}

/// <summary>A filter took more than a million steps for one document.</summary>
internal sealed class FilterTooCostlyException() : Exception("takes more than 1,000,000 steps for this event");

/// <summary>What a comparison looks at: the values of a path, or a literal.</summary>
internal abstract record FilterOperand
{
    /// <summary>Adds the values; arrays among them are opened where a condition asks for its operands (lax mode).</summary>
    public abstract void Collect(FilterScope scope, List<JsonElement> found);

    /// <summary>A number, string, boolean or null.</summary>
    public sealed record Literal(JsonElement Value) : FilterOperand
    {
        public override void Collect(FilterScope scope, List<JsonElement> found) => found.Add(Value);
    }
}

/// <summary>
/// A path in lax mode, as PostgreSQL walks it (executeItemOptUnwrapTarget in jsonpath_exec.c): an accessor of objects and a filter open an array, but not
/// the arrays in that one; an accessor of arrays takes anything else for an array of one; what is missing is nothing, never an error.
/// </summary>
internal sealed record FilterPath(bool FromRoot, IReadOnlyList<FilterStep> Steps) : FilterOperand
{
    public override void Collect(FilterScope scope, List<JsonElement> found)
        => Walk(scope, FromRoot ? scope.Root : scope.Current, 0, opens: true, found);

    private void Walk(FilterScope scope, JsonElement item, int step, bool opens, List<JsonElement> found)
    {
        scope.Work.Step();
        if (step == Steps.Count)
        {
            found.Add(item);
            return;
        }

        var isArray = item.ValueKind == JsonValueKind.Array;
        switch (Steps[step])
        {
            case FilterStep.Member or FilterStep.Where when isArray && opens:
                WalkAll(scope, item, step, opens: false, found);
                break;
            case FilterStep.Member member:
                WalkMember(scope, item, step, member.Name, found);
                break;
            case FilterStep.Where where:
                if (where.Condition.Test(scope with { Current = item }) == true)
                {
                    Walk(scope, item, step + 1, opens: true, found);
                }

                break;
            case FilterStep.AnyElement when isArray:
                WalkAll(scope, item, step + 1, opens: true, found);
                break;
            case FilterStep.Element element when isArray:
                if (element.Index < item.GetArrayLength())
                {
                    scope.Work.Step(element.Index);
                    Walk(scope, item[element.Index], step + 1, opens: true, found);
                }

                break;
            case FilterStep.AnyElement or FilterStep.Element { Index: 0 }:
                Walk(scope, item, step + 1, opens: true, found);
                break;
        }
    }

    private void WalkMember(FilterScope scope, JsonElement item, int step, string name, List<JsonElement> found)
    {
        if (item.ValueKind != JsonValueKind.Object)
        {
            return;
        }

        scope.Work.Step(item.GetPropertyCount());
        if (item.TryGetProperty(name, out var value))
        {
            Walk(scope, value, step + 1, opens: true, found);
        }
    }

    private void WalkAll(FilterScope scope, JsonElement array, int step, bool opens, List<JsonElement> found)
    {
        foreach (var item in array.EnumerateArray())
        {
            Walk(scope, item, step, opens, found);
        }
    }
}
