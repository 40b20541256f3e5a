using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace RuleEngineNats.Messaging;

/// <summary>A condition of SQL/JSON path: true, false or (null) unknown.</summary>
internal abstract record FilterCondition
{
    private FilterCondition()
    {
    }

    public abstract bool? Test(FilterScope scope);

    /// <summary><c>==</c>, <c>!=</c>, <c>&lt;</c>, <c>&lt;=</c>, <c>&gt;</c>, <c>&gt;=</c>.</summary>
    public sealed record Compare(string Operator, FilterOperand Left, FilterOperand Right) : FilterCondition
    {
        public override bool? Test(FilterScope scope)
        {
            var right = ValuesOf(Right, scope);
            return AnyOf(ValuesOf(Left, scope), left => AnyOf(right, other => TestPair(scope, left, other)));
        }

        private bool? TestPair(FilterScope scope, JsonElement left, JsonElement right)
        {
            scope.Work.Step();
            var (one, other) = (KindOf(left), KindOf(right));
            if (one != other)
            {
                // null is comparable with everything and equal to nothing else; other values of two kinds are not comparable.
                return one is JsonValueKind.Null || other is JsonValueKind.Null ? Operator == "!=" : null;
            }

            return one switch
            {
                JsonValueKind.Object => null,
                JsonValueKind.Null => Holds(0),
                JsonValueKind.True => Holds(left.GetBoolean().CompareTo(right.GetBoolean())),
                JsonValueKind.Number => Holds(JsonNumber.Compare(JsonMarshal.GetRawUtf8Value(left), JsonMarshal.GetRawUtf8Value(right))),
                _ => Holds(CompareText(scope.Work.TextOf(left), scope.Work.TextOf(right))),
            };
        }

        private bool Holds(int order) => Operator switch
        {
            "==" => order == 0,
            "!=" => order != 0,
            "<" => order < 0,
            "<=" => order <= 0,
            ">" => order > 0,
            _ => order >= 0,
        };

        // The order of code points, as PostgreSQL's; that of UTF-16 has surrogates before U+E000.
        private static int CompareText(string left, string right)
        {
            var (one, other) = (left.EnumerateRunes(), right.EnumerateRunes());
            while (true)
            {
                var (more, others) = (one.MoveNext(), other.MoveNext());
                if (!more || !others)
                {
                    return more.CompareTo(others);
                }

                if (one.Current != other.Current)
                {
                    return one.Current.CompareTo(other.Current);
                }
            }
        }
    }

    /// <summary><c>starts with "…"</c>.</summary>
    public sealed record StartsWith(FilterOperand Operand, string Beginning) : FilterCondition
    {
        public override bool? Test(FilterScope scope)
            => AnyOf(ValuesOf(Operand, scope), value => value.ValueKind == JsonValueKind.String ? scope.Work.TextOf(value).StartsWith(Beginning, StringComparison.Ordinal) : null);
    }

    /// <summary><c>like_regex "…" flag "…"</c>.</summary>
    public sealed record LikeRegex(FilterOperand Operand, Regex Pattern) : FilterCondition
    {
        public override bool? Test(FilterScope scope)
            => AnyOf(ValuesOf(Operand, scope), value => value.ValueKind == JsonValueKind.String ? Pattern.IsMatch(scope.Work.TextOf(value)) : null);
    }

    /// <summary><c>exists (path)</c>.</summary>
    public sealed record Exists(FilterPath Path) : FilterCondition
    {
        public override bool? Test(FilterScope scope)
        {
            var found = new List<JsonElement>();
            Path.Collect(scope, found);
            return found.Count > 0;
        }
    }

    /// <summary><c>!(condition)</c>.</summary>
    public sealed record Not(FilterCondition Condition) : FilterCondition
    {
        public override bool? Test(FilterScope scope) => !Condition.Test(scope);
    }

    /// <summary><c>condition &amp;&amp; condition</c>.</summary>
    public sealed record And(FilterCondition Left, FilterCondition Right) : FilterCondition
    {
        public override bool? Test(FilterScope scope) => Left.Test(scope) is var left && left == false ? false : left & Right.Test(scope);
    }

    /// <summary><c>condition || condition</c>.</summary>
    public sealed record Or(FilterCondition Left, FilterCondition Right) : FilterCondition
    {
        public override bool? Test(FilterScope scope) => Left.Test(scope) is var left && left == true ? true : left | Right.Test(scope);
    }

    // Arrays among the values of a condition's operand are opened, once.
    private static List<JsonElement> ValuesOf(FilterOperand operand, FilterScope scope)
    {
        var found = new List<JsonElement>();
        operand.Collect(scope, found);
        if (!found.Exists(value => value.ValueKind == JsonValueKind.Array))
        {
            return found;
        }

        var opened = new List<JsonElement>();
        foreach (var value in found)
        {
            if (value.ValueKind == JsonValueKind.Array)
            {
                opened.AddRange(value.EnumerateArray());
            }
            else
            {
                opened.Add(value);
            }
        }

        return opened;
    }

    // Lax: one value for which it is true is enough; otherwise one for which it is unknown makes all of it unknown.
    private static bool? AnyOf(List<JsonElement> values, Func<JsonElement, bool?> test)
    {
        bool? result = false;
        foreach (var value in values)
        {
            switch (test(value))
            {
                case true:
                    return true;
                case null:
                    result = null;
                    break;
            }
        }

        return result;
    }

    private static JsonValueKind KindOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.False => JsonValueKind.True,
        JsonValueKind.Array => JsonValueKind.Object,
        var kind => kind,
    };
}
