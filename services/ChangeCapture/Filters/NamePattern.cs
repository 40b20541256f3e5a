using System.Text;

namespace RuleEngineNats.ChangeCapture.Filters;

/// <summary>
/// A pattern of names joined by dots: <c>public.order*</c>, <c>"odd.schema".t?st.id</c>. <c>*</c> stands for any number of characters and <c>?</c>
/// for one, never for a dot between names; a name in double quotes is meant literally, with <c>""</c> for a quote.
/// </summary>
internal sealed class NamePattern
{
    /// <summary>The parts of a pattern for tables.</summary>
    public const string Table = "schema.table";

    private readonly (string Name, bool Literal)[] _parts;
    private readonly string _text;

    private NamePattern(string text, (string Name, bool Literal)[] parts) => (_text, _parts) = (text, parts);

    /// <summary>Whether no part has a wildcard: it names one thing.</summary>
    public bool IsLiteral => _parts.All(part => part.Literal || part.Name.AsSpan().IndexOfAny('*', '?') < 0);

    public IReadOnlyList<string> Names => [.. _parts.Select(part => part.Name)];

    /// <param name="names">What the parts are, e.g. "schema.table".</param>
    /// <returns>Null with a problem, or the pattern without one.</returns>
    public static (NamePattern? Pattern, string? Problem) Parse(string text, string names)
    {
        var parts = new List<(string, bool)>();
        for (var at = 0; ;)
        {
            if (!TryReadName(text, ref at, out var part) || part.Name.Length == 0)
            {
                return (null, $"'{text}' is not a pattern: write {names}, a name with dots or quotes in double quotes");
            }

            parts.Add(part);
            if (at == text.Length)
            {
                break;
            }

            at++;
        }

        var wanted = names.Count(character => character == '.') + 1;
        return parts.Count == wanted
            ? (new(text, [.. parts]), null)
            : (null, $"'{text}' has {parts.Count} of the {wanted} parts of {names} (* stands for any name)");
    }

    /// <summary>A name as a part that means it alone, and as SQL has it.</summary>
    public static string Literal(string name)
        => name.All(character => char.IsAsciiLetterLower(character) || char.IsAsciiDigit(character) || character == '_') ? name : $"\"{name.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";

    public bool Matches(params ReadOnlySpan<string> names)
    {
        for (var index = 0; index < names.Length; index++)
        {
            var (name, literal) = _parts[index];
            if (literal ? name != names[index] : !Wild(name, names[index]))
            {
                return false;
            }
        }

        return true;
    }

    public override string ToString() => _text;

    private static bool Wild(ReadOnlySpan<char> pattern, ReadOnlySpan<char> name)
    {
        var (at, star, resume) = (0, -1, 0);
        for (var index = 0; index < name.Length;)
        {
            if (at < pattern.Length && pattern[at] == '*')
            {
                (star, resume) = (at++, index);
            }
            else if (at < pattern.Length && (pattern[at] == '?' || pattern[at] == name[index]))
            {
                at++;
                index++;
            }
            else if (star >= 0)
            {
                // The last star takes one character more.
                (at, index) = (star + 1, ++resume);
            }
            else
            {
                return false;
            }
        }

        return pattern[at..].IndexOfAnyExcept('*') < 0;
    }

    // Ends at a dot or at the end of the text.
    private static bool TryReadName(string text, ref int at, out (string Name, bool Literal) part)
    {
        if (at >= text.Length || text[at] != '"')
        {
            var length = text.AsSpan(Math.Min(at, text.Length)).IndexOf('.');
            var end = length < 0 ? text.Length : at + length;
            part = (text[Math.Min(at, text.Length)..end], false);
            at = end;
            return !part.Name.Contains('"', StringComparison.Ordinal);
        }

        var name = new StringBuilder();
        for (at++; at < text.Length; at++)
        {
            if (text[at] != '"')
            {
                name.Append(text[at]);
            }
            else if (at + 1 < text.Length && text[at + 1] == '"')
            {
                name.Append(text[at++]);
            }
            else
            {
                at++;
                part = (name.ToString(), true);
                return at == text.Length || text[at] == '.';
            }
        }

        part = default;
        return false;
    }
}
