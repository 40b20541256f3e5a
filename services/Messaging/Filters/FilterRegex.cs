using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace RuleEngineNats.Messaging;

/// <summary>
/// Turns a pattern of like_regex, as far as rule_webhook_filter_regex_check lets it through, into one of .NET that matches the same texts: characters are
/// code points and not UTF-16 units, $ is the very end, . and [^…] leave out line feeds unless the flag s is there, case is that of ASCII. The automaton is
/// the one without backtracking, so no pattern and no text can hold a worker up.
/// </summary>
internal sealed class FilterRegex(string pattern, string flags)
{
    private const string Supplementary = @"[\uD800-\uDBFF][\uDC00-\uDFFF]";
    private const int MaxRepetitions = 1000;

    private readonly StringBuilder _translated = new();
    private int _at;

    /// <exception cref="FormatException">It uses more than both engines understand alike.</exception>
    public static Regex Compile(string pattern, string flags)
    {
        if (pattern.Length == 0 || flags.AsSpan().ContainsAnyExcept("ims") || (flags.Contains('i', StringComparison.Ordinal) && !Ascii.IsValid(pattern)))
        {
            throw new FormatException("like_regex: pattern or flags are not supported");
        }

        try
        {
            return new Regex(new FilterRegex(pattern, flags).Translate(), RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            throw new FormatException("like_regex: " + e.Message, e);
        }
    }

    private bool Has(char flag) => flags.Contains(flag, StringComparison.Ordinal);

    private string Translate()
    {
        var repetitions = 0;
        while (_at < pattern.Length)
        {
            var character = Next();
            if (AddWithoutQuantifier(character))
            {
                continue;
            }

            AddAtom(character);
            repetitions += AddQuantifier(isAtom: character != ')');
        }

        return repetitions <= MaxRepetitions ? _translated.ToString() : throw new FormatException("like_regex: too many repetitions");
    }

    // Only whether a text matches is asked, so a group need not be one that captures.
    private bool AddWithoutQuantifier(char character)
    {
        switch (character)
        {
            case '(':
                _translated.Append("(?:");
                _at += IsNext("?:") ? 2 : 0;
                return true;
            case '|':
                _translated.Append('|');
                return true;
            case '^':
                _translated.Append(Has('m') ? "(?m:^)" : @"\A");
                return true;
            case '$':
                _translated.Append(Has('m') ? "(?m:$)" : @"\z");
                return true;
            default:
                return false;
        }
    }

    private void AddAtom(char character)
    {
        switch (character)
        {
            case ')':
                _translated.Append(')');
                break;
            case '.':
                _translated.Append(CultureInfo.InvariantCulture, $@"(?:[^\uD800-\uDFFF{(Has('s') ? "" : "\\n")}]|{Supplementary})");
                break;
            case '[':
                AddClass();
                break;
            case '\\':
                _translated.Append('[').Append(Escaped()).Append(']');
                break;
            case '*' or '+' or '?' or '{' or '}' or ']':
                throw new FormatException("like_regex: a quantifier or bracket stands where it cannot");
            default:
                AddCharacter(character);
                break;
        }
    }

    private bool IsNext(string token) => pattern.AsSpan(_at).StartsWith(token);

    private char Next() => _at < pattern.Length ? pattern[_at++] : throw new FormatException("like_regex: the pattern ends too early");

    private void AddCharacter(char character)
    {
        if (char.IsHighSurrogate(character))
        {
            _translated.Append("(?:").Append(Unit(character)).Append(Unit(Next())).Append(')');
        }
        else
        {
            _translated.Append('[').Append(OneOrBothCases(character)).Append(']');
        }
    }

    private void AddClass()
    {
        var negated = _at < pattern.Length && pattern[_at] == '^';
        _at += negated ? 1 : 0;
        var members = new StringBuilder();
        while (Next() is var first and not ']')
        {
            if (first is '[' or '^' || char.IsSurrogate(first))
            {
                throw new FormatException("like_regex: a class has a character that needs a backslash");
            }

            var member = first == '\\' ? Escaped() : OneOrBothCases(first);
            if (_at + 1 < pattern.Length && pattern[_at] == '-' && pattern[_at + 1] != ']')
            {
                var from = first == '\\' ? pattern[_at - 1] : first;
                _at++;
                var isEscaped = Next() is var to && to == '\\';
                to = isEscaped ? Next() : to;
                member = (first == '\\' && char.IsAsciiLetter(from)) || (isEscaped && char.IsAsciiLetterOrDigit(to))
                    ? throw new FormatException("like_regex: a range that is none") : Range(from, to);
            }

            members.Append(member);
        }

        if (members.Length == 0)
        {
            throw new FormatException("like_regex: an empty class");
        }

        _translated.Append(negated
            ? $@"(?:[^{members}\uD800-\uDFFF{(Has('s') ? "" : "\\n")}]|{Supplementary})"
            : $"[{members}]");
    }

    // What a character after a backslash stands for, as members of a class.
    private string Escaped() => Next() switch
    {
        'n' => @"\n",
        't' => @"\t",
        'r' => @"\r",
        'f' => @"\f",
        'v' => @"\v",
        var other when !char.IsAsciiLetterOrDigit(other) && !char.IsSurrogate(other) => Unit(other),
        _ => throw new FormatException(@"like_regex: of the letters only \n \t \r \f \v have a meaning here"),
    };

    private string Range(char from, char to)
    {
        if (from > to || char.IsSurrogate(to))
        {
            throw new FormatException("like_regex: a range that is none");
        }

        var range = $"{Unit(from)}-{Unit(to)}";
        for (var letter = from; Has('i') && letter <= to; letter++)
        {
            range += char.IsAsciiLetter(letter) ? Unit((char)(letter ^ 0x20)) : "";
        }

        return range;
    }

    private string OneOrBothCases(char character)
        => Has('i') && char.IsAsciiLetter(character) ? Unit(character) + Unit((char)(character ^ 0x20)) : Unit(character);

    private static string Unit(char unit) => string.Create(CultureInfo.InvariantCulture, $@"\u{(int)unit:X4}");

    private int AddQuantifier(bool isAtom)
    {
        if (_at == pattern.Length || pattern[_at] is not ('*' or '+' or '?' or '{'))
        {
            return 0;
        }

        if (Next() is var quantifier && quantifier != '{')
        {
            _translated.Append(quantifier);
            return 0;
        }

        var end = pattern.AsSpan(_at).IndexOf('}');
        var bounds = end > 0 && isAtom ? pattern.AsSpan(_at, end) : throw new FormatException("like_regex: {} stands where it cannot");
        var comma = bounds.IndexOf(',');
        var least = int.Parse(comma < 0 ? bounds : bounds[..comma], NumberStyles.None, CultureInfo.InvariantCulture);
        var most = comma < 0 || comma == bounds.Length - 1 ? least : int.Parse(bounds[(comma + 1)..], NumberStyles.None, CultureInfo.InvariantCulture);
        _translated.Append('{').Append(bounds).Append('}');
        _at += end + 1;
        return most;
    }
}
