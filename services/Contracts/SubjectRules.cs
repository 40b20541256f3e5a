using System.Text;

namespace RuleEngineNats.Contracts;

/// <summary>
/// What a subject may be. nats-server checks next to nothing: it stores <c>a.*</c>, takes the rest of <c>a b</c> for a reply subject and runs
/// <c>$JS.API.STREAM.PURGE.X</c>, so every subject is checked before a byte of it is sent.
/// The SQL function <c>rule_nats_subject_check</c> gives the same reasons at the same bytes.
/// </summary>
public static class SubjectRules
{
    /// <summary>Longest subject in bytes.</summary>
    public const int MaxBytes = 255;

    /// <summary>Most tokens (the parts between dots).</summary>
    public const int MaxTokens = 16;

    /// <summary>Checks a subject; the first problem from the left is the one reported.</summary>
    /// <param name="subject">The subject, or the filter when <paramref name="allowWildcards"/> is set.</param>
    /// <param name="allowWildcards">True for filters: <c>*</c> may stand for a token and <c>&gt;</c> for all that follow.</param>
    /// <returns>Null when it is fine.</returns>
    public static SubjectProblem? Check(string? subject, bool allowWildcards)
    {
        if (string.IsNullOrEmpty(subject))
        {
            return new SubjectProblem(SubjectProblem.Empty, 0);
        }

        if (Encoding.UTF8.GetByteCount(subject) > MaxBytes)
        {
            return new SubjectProblem(SubjectProblem.TooLong, MaxBytes);
        }

        if (subject[0] == '$' || IsInbox(subject))
        {
            return new SubjectProblem(SubjectProblem.Reserved, 0);
        }

        return CheckTokens(subject, allowWildcards);
    }

    // All characters before the first problem are ASCII, so the index of a character is also the index of its byte.
    private static SubjectProblem? CheckTokens(string subject, bool allowWildcards)
    {
        var tokens = 1;
        var start = 0;
        for (var index = 0; index < subject.Length; index++)
        {
            var character = subject[index];
            if (character == '.')
            {
                if (index == start)
                {
                    return new SubjectProblem(SubjectProblem.EmptyToken, index);
                }

                start = index + 1;
                if (++tokens > MaxTokens && start < subject.Length)
                {
                    return new SubjectProblem(SubjectProblem.TooManyTokens, start);
                }

                continue;
            }

            if (CheckCharacter(subject, start, index, allowWildcards) is { } reason)
            {
                return new SubjectProblem(reason, index);
            }
        }

        return start == subject.Length ? new SubjectProblem(SubjectProblem.EmptyToken, start) : null;
    }

    private static string? CheckCharacter(string subject, int start, int index, bool allowWildcards)
    {
        var character = subject[index];
        switch (character)
        {
            case '*' or '>':
                if (!allowWildcards)
                {
                    return SubjectProblem.Wildcard;
                }

                var alone = index == start && (index + 1 == subject.Length || subject[index + 1] == '.');
                var mayStand = character == '*' || index + 1 == subject.Length;
                return alone && mayStand ? null : SubjectProblem.Wildcard;
            case ' ':
                return SubjectProblem.Whitespace;
            case < ' ' or '\u007f':
                return SubjectProblem.ControlCharacter;
            default:
                return char.IsAsciiLetterOrDigit(character) || character is '_' or '-' ? null : SubjectProblem.Character;
        }
    }

    private static bool IsInbox(string subject)
        => subject.StartsWith("_INBOX", StringComparison.Ordinal) && (subject.Length == 6 || subject[6] == '.');
}

/// <summary>Why a subject is refused, and where.</summary>
/// <param name="Reason">One of the constants of this type.</param>
/// <param name="Byte">Offset of the offending byte; the first byte is 0.</param>
public sealed record SubjectProblem(string Reason, int Byte)
{
    /// <summary>There is no subject.</summary>
    public const string Empty = "empty";

    /// <summary>More than <see cref="SubjectRules.MaxBytes"/> bytes.</summary>
    public const string TooLong = "longer than 255 bytes";

    /// <summary>Begins with <c>$</c> or is an inbox: the server's own subjects.</summary>
    public const string Reserved = "reserved";

    /// <summary>A space; a tab is a control character.</summary>
    public const string Whitespace = "whitespace";

    /// <summary>A control character, NUL, CR and LF among them.</summary>
    public const string ControlCharacter = "control character";

    /// <summary>Two dots in a row, or one at either end.</summary>
    public const string EmptyToken = "empty token";

    /// <summary><c>*</c> or <c>&gt;</c> in a subject to publish to; in a filter, one that is not a token of its own or a <c>&gt;</c> before the end.</summary>
    public const string Wildcard = "wildcard";

    /// <summary>Any other character outside A–Z, a–z, 0–9, <c>_</c> and <c>-</c>.</summary>
    public const string Character = "character not in [A-Za-z0-9_-]";

    /// <summary>More than <see cref="SubjectRules.MaxTokens"/> tokens.</summary>
    public const string TooManyTokens = "more than 16 tokens";

    /// <summary>The message every edge shows.</summary>
    public override string ToString() => $"subject: {Reason} at byte {Byte}";
}
