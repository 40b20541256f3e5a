using System.Buffers;
using System.Globalization;
using System.Text.Json;

namespace RuleEngineNats.Messaging;

/// <summary>
/// Reads a filter as PostgreSQL prints a jsonpath (rule_webhook_filter_check does so for content filters): names and texts quoted, one form for each operator.
/// <code>
/// or         = and { "||" and }
/// and        = condition { "&amp;&amp;" condition }
/// condition  = "!" "(" or ")" | "exists" "(" path ")" | "(" or ")" | operand ( comparison operand | "starts with" text | "like_regex" text [ "flag" text ] )
/// operand    = path | number | text | "true" | "false" | "null"
/// filter     = path | or
/// path       = ( "$" | "@" ) { "." text | "[" number "]" | "[*]" | "?" "(" or ")" }
/// </code>
/// </summary>
internal sealed class FilterParser(string text)
{
    private static readonly SearchValues<char> LiteralCharacters = SearchValues.Create("-+.0123456789eEtrufalsn");
    private static readonly string[] Operators = ["==", "!=", "<=", ">=", "<", ">"];

    private int _at;

    /// <exception cref="FormatException">It is no filter, or has parts that are not implemented.</exception>
    public static object Parse(string text)
    {
        var parser = new FilterParser(text);
        try
        {
            object parsed = text.StartsWith('$') ? parser.Path() : parser.Or();
            return parser.AtEnd() ? parsed : throw parser.Unexpected();
        }
        catch (JsonException e)
        {
            throw new FormatException(parser.Unexpected().Message, e);
        }
    }

    private FilterCondition Or()
    {
        var left = And();
        while (TryTake("||"))
        {
            left = new FilterCondition.Or(left, And());
        }

        return left;
    }

    private FilterCondition And()
    {
        var left = Condition();
        while (TryTake("&&"))
        {
            left = new FilterCondition.And(left, Condition());
        }

        return left;
    }

    private FilterCondition Condition()
    {
        if (TryTake("!"))
        {
            return new FilterCondition.Not(InBrackets());
        }

        if (TryTake("exists"))
        {
            Take("(");
            var path = Path();
            Take(")");
            return new FilterCondition.Exists(path);
        }

        return Rest.StartsWith('(') ? InBrackets() : Comparison();
    }

    private FilterCondition InBrackets()
    {
        Take("(");
        var condition = Or();
        Take(")");
        return condition;
    }

    private FilterCondition Comparison()
    {
        var left = Operand();
        if (TryTake("starts with"))
        {
            return new FilterCondition.StartsWith(left, Text());
        }

        if (TryTake("like_regex"))
        {
            return new FilterCondition.LikeRegex(left, FilterRegex.Compile(Text(), TryTake("flag") ? Text() : ""));
        }

        foreach (var candidate in Operators)
        {
            if (TryTake(candidate))
            {
                return new FilterCondition.Compare(candidate, left, Operand());
            }
        }

        throw Unexpected();
    }

    private FilterOperand Operand()
    {
        if (Rest.StartsWith('$') || Rest.StartsWith('@'))
        {
            return Path();
        }

        var length = Rest.StartsWith('"') ? TextLength() : Rest.IndexOfAnyExcept(LiteralCharacters) is var end and >= 0 ? end : Rest.Length;
        using var literal = JsonDocument.Parse(text.AsMemory(_at, length));
        _at += length;
        return new FilterOperand.Literal(literal.RootElement.Clone());
    }

    private FilterPath Path()
    {
        var fromRoot = TryTake("$");
        if (!fromRoot)
        {
            Take("@");
        }

        var steps = new List<FilterStep>();
        while (Step() is { } step)
        {
            steps.Add(step);
        }

        return new(fromRoot, steps);
    }

    private FilterStep? Step()
    {
        if (TryTake("."))
        {
            return new FilterStep.Member(Text());
        }

        if (TryTake("[*]"))
        {
            return new FilterStep.AnyElement();
        }

        if (TryTake("["))
        {
            var end = Rest.IndexOf(']');
            var index = end > 0 && int.TryParse(Rest[..end], NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : throw Unexpected();
            _at += end + 1;
            return new FilterStep.Element(index);
        }

        return TryTake("?") ? new FilterStep.Where(InBrackets()) : null;
    }

    private string Text()
    {
        var length = TextLength();
        var quoted = text.AsMemory(_at, length);
        _at += length;
        using var parsed = JsonDocument.Parse(quoted);
        return parsed.RootElement.GetString()!;
    }

    private int TextLength()
    {
        var rest = Rest;
        for (var index = 1; rest.StartsWith('"') && index < rest.Length; index++)
        {
            if (rest[index] == '"')
            {
                return index + 1;
            }

            index += rest[index] == '\\' ? 1 : 0;
        }

        throw Unexpected();
    }

    private ReadOnlySpan<char> Rest
    {
        get
        {
            while (_at < text.Length && text[_at] == ' ')
            {
                _at++;
            }

            return text.AsSpan(_at);
        }
    }

    private bool AtEnd() => Rest.IsEmpty;

    private bool TryTake(string token)
    {
        if (!Rest.StartsWith(token))
        {
            return false;
        }

        _at += token.Length;
        return true;
    }

    private void Take(string token)
    {
        if (!TryTake(token))
        {
            throw Unexpected();
        }
    }

    private FormatException Unexpected() => new($"not understood from character {_at + 1} on");
}
