using System.Buffers;
using System.Collections.Frozen;

namespace RuleEngineNats.Contracts;

/// <summary>
/// What headers a publisher may add to an event. Refused are the names that mean something to nats-server, to this project, to Standard Webhooks or to
/// an HTTP connection, and every byte that could end a header line. Four CloudEvents attributes may be given:
/// <c>ce-type</c>, <c>ce-source</c>, <c>ce-subject</c>, <c>ce-dataschema</c>; the others are ours.
/// </summary>
public static class HeaderRules
{
    /// <summary>Most headers.</summary>
    public const int MaxCount = 64;

    /// <summary>Most bytes of all names and values with their separators. The server's own limit for all headers of a message is 64 KiB.</summary>
    public const int MaxTotalBytes = 8 * 1024;

    private const int SeparatorBytes = 4;

    private static readonly string[] ReservedPrefixes = ["nats-", "webhook-", "rule-", "ce-", "proxy-", "sec-"];

    private static readonly FrozenSet<string> CloudEventNames = FrozenSet.Create(
        StringComparer.OrdinalIgnoreCase, EventHeaders.CloudEventType, EventHeaders.CloudEventSource, "ce-subject", "ce-dataschema");

    // Connection headers of HTTP/1.1, what frames a body, and what this project sets by itself.
    private static readonly FrozenSet<string> ReservedNames = FrozenSet.Create(
        StringComparer.OrdinalIgnoreCase,
        "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "host", "expect", "http2-settings",
        "content-length", "content-encoding", EventHeaders.TraceParent, "tracestate", "baggage");

    private static readonly SearchValues<char> NameCharacters =
        SearchValues.Create("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

    /// <summary>Checks all headers of an event; the first problem is the one reported.</summary>
    /// <returns>Null when they are fine.</returns>
    public static HeaderProblem? Check(IReadOnlyCollection<KeyValuePair<string, string>> headers)
    {
        if (headers.Count == 0)
        {
            return null;
        }

        if (headers.Count > MaxCount)
        {
            return new HeaderProblem(HeaderProblemKind.TooMany, string.Empty, $"{headers.Count} headers, at most {MaxCount}");
        }

        var total = 0;
        var names = new HashSet<string>(headers.Count, StringComparer.OrdinalIgnoreCase);
        foreach (var (name, value) in headers)
        {
            if (Check(name, value) is { } problem)
            {
                return problem;
            }

            if (!names.Add(name))
            {
                return new HeaderProblem(HeaderProblemKind.Duplicate, name, "given twice; names that differ in case alone are the same header");
            }

            total += name.Length + value.Length + SeparatorBytes;
        }

        return total > MaxTotalBytes
            ? new HeaderProblem(HeaderProblemKind.TooLarge, string.Empty, $"{total} bytes of headers, at most {MaxTotalBytes}")
            : null;
    }

    private static HeaderProblem? Check(string name, string value)
    {
        if (name.Length == 0)
        {
            return new HeaderProblem(HeaderProblemKind.InvalidName, name, "empty name");
        }

        var wrong = name.AsSpan().IndexOfAnyExcept(NameCharacters);
        if (wrong >= 0)
        {
            return new HeaderProblem(HeaderProblemKind.InvalidName, name, $"character not allowed in a header name at byte {wrong}");
        }

        if (IsReserved(name))
        {
            return new HeaderProblem(HeaderProblemKind.Reserved, name, "reserved header");
        }

        wrong = value.AsSpan().IndexOfAnyExceptInRange(' ', '~');
        if (wrong >= 0)
        {
            return new HeaderProblem(HeaderProblemKind.InvalidValue, name, $"character that is not printable ASCII in the value at byte {wrong}");
        }

        // Every header reader trims, so such a value would not arrive as it was given.
        return value.Length > 0 && (value[0] == ' ' || value[^1] == ' ')
            ? new HeaderProblem(HeaderProblemKind.InvalidValue, name, "value begins or ends with a space")
            : null;
    }

    private static bool IsReserved(string name)
    {
        if (ReservedNames.Contains(name))
        {
            return true;
        }

        foreach (var prefix in ReservedPrefixes)
        {
            if (name.StartsWith(prefix, StringComparison.OrdinalIgnoreCase))
            {
                return !CloudEventNames.Contains(name);
            }
        }

        return false;
    }
}

/// <summary>The kinds of <see cref="HeaderProblem"/>.</summary>
public enum HeaderProblemKind
{
    /// <summary>The name is empty or has a character that no header name may have.</summary>
    InvalidName,

    /// <summary>The value has CR, LF, NUL or another character that is not printable ASCII, or would be trimmed.</summary>
    InvalidValue,

    /// <summary>The name means something to the server, to this project, to Standard Webhooks or to an HTTP connection.</summary>
    Reserved,

    /// <summary>The same name twice, case aside.</summary>
    Duplicate,

    /// <summary>More than <see cref="HeaderRules.MaxCount"/> headers.</summary>
    TooMany,

    /// <summary>More than <see cref="HeaderRules.MaxTotalBytes"/> bytes.</summary>
    TooLarge,
}

/// <summary>Why headers are refused.</summary>
/// <param name="Kind">The kind of problem.</param>
/// <param name="Name">The header, empty when it is about all of them.</param>
/// <param name="Reason">What is wrong; never the value.</param>
public sealed record HeaderProblem(HeaderProblemKind Kind, string Name, string Reason)
{
    /// <summary>The message every edge shows. A name that is itself hostile is shown escaped.</summary>
    public override string ToString() => Name.Length == 0 ? $"headers: {Reason}" : $"headers[{Escape(Name)}]: {Reason}";

    private static string Escape(string name)
    {
        var shown = name.Length <= 64 ? name : string.Concat(name.AsSpan(0, 64), "...");
        return string.Concat(shown.Select(character => character is > ' ' and < '\u007f' ? character.ToString() : $"\\u{(int)character:x4}"));
    }
}
