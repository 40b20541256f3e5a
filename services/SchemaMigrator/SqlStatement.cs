namespace RuleEngineNats.SchemaMigrator;

/// <summary>
/// One statement of a file. Statements are sent one by one, so that an error can name file and line: the server's position
/// counts from the start of what it was sent.
/// </summary>
internal readonly record struct SqlStatement(string Text, int Line)
{
    /// <summary>The line of the file that holds the server's 1-based character position; 0 means it gave none.</summary>
    public int LineAt(int position) => Line + Text.AsSpan(0, Math.Clamp(position - 1, 0, Text.Length)).Count('\n');

    /// <summary>Splits at semicolons outside of strings, quoted names, dollar quotes and comments.</summary>
    public static IEnumerable<SqlStatement> Split(string text)
    {
        var line = 1;
        var start = -1;
        var startLine = 1;
        var index = 0;
        while (index < text.Length)
        {
            var length = TokenLength(text, index, out var blank);
            if (text[index] == ';' && length == 1)
            {
                if (start >= 0)
                {
                    yield return new SqlStatement(text[start..index], startLine);
                }

                start = -1;
            }
            else if (start < 0 && !blank)
            {
                (start, startLine) = (index, line);
            }

            line += text.AsSpan(index, length).Count('\n');
            index += length;
        }

        if (start >= 0)
        {
            yield return new SqlStatement(text[start..].TrimEnd(), startLine);
        }
    }

    private static int TokenLength(string text, int index, out bool blank)
    {
        var rest = text.AsSpan(index);
        blank = char.IsWhiteSpace(rest[0]) || rest.StartsWith("--") || rest.StartsWith("/*");
        return rest switch
        {
            ['-', '-', ..] => LengthThrough(rest, "\n", 2),
            ['/', '*', ..] => CommentLength(rest),
            ['"', ..] => QuotedLength(rest, '"', backslash: false),
            ['\'', ..] => QuotedLength(rest, '\'', backslash: IsEscapeString(text, index)),
            ['$', ..] => DollarQuotedLength(text, index),
            _ => 1,
        };
    }

    private static int LengthThrough(ReadOnlySpan<char> rest, ReadOnlySpan<char> end, int from)
    {
        var found = rest[from..].IndexOf(end);
        return found < 0 ? rest.Length : from + found + end.Length;
    }

    private static int CommentLength(ReadOnlySpan<char> rest)
    {
        var depth = 0;
        for (var index = 0; index < rest.Length - 1; index++)
        {
            if (rest[index] == '/' && rest[index + 1] == '*')
            {
                depth++;
                index++;
            }
            else if (rest[index] == '*' && rest[index + 1] == '/')
            {
                index++;
                if (--depth == 0)
                {
                    return index + 1;
                }
            }
        }

        return rest.Length;
    }

    private static int QuotedLength(ReadOnlySpan<char> rest, char quote, bool backslash)
    {
        for (var index = 1; index < rest.Length; index++)
        {
            if (backslash && rest[index] == '\\')
            {
                index++;
            }
            else if (rest[index] == quote)
            {
                return index + 1; // A doubled quote starts the next token, which is a string again.
            }
        }

        return rest.Length;
    }

    // E'...' honours backslashes; the E of an identifier such as table'...' does not occur in valid SQL.
    private static bool IsEscapeString(string text, int index)
        => index > 0 && text[index - 1] is 'E' or 'e' && (index == 1 || !char.IsLetterOrDigit(text[index - 2]));

    private static int DollarQuotedLength(string text, int index)
    {
        if (index > 0 && (char.IsLetterOrDigit(text[index - 1]) || text[index - 1] == '_'))
        {
            return 1; // Part of a name.
        }

        var end = index + 1;
        while (end < text.Length && (char.IsLetterOrDigit(text[end]) || text[end] == '_'))
        {
            end++;
        }

        // $1 is a parameter, not a quote.
        return end < text.Length && text[end] == '$' && !(end > index + 1 && char.IsAsciiDigit(text[index + 1]))
            ? LengthThrough(text.AsSpan(index), text.AsSpan(index, end + 1 - index), end + 1 - index)
            : 1;
    }
}
