namespace RuleEngineNats.Contracts;

/// <summary>Matching of NATS subject filters: <c>*</c> stands for one token, <c>&gt;</c> at the end for one or more.</summary>
public static class SubjectFilter
{
    /// <summary>Whether a literal subject is selected by a filter.</summary>
    public static bool Matches(ReadOnlySpan<char> filter, ReadOnlySpan<char> subject) => Covers(filter, subject);

    /// <summary>Whether every subject that <paramref name="inner"/> selects is also selected by <paramref name="outer"/>.</summary>
    public static bool Covers(ReadOnlySpan<char> outer, ReadOnlySpan<char> inner)
    {
        while (true)
        {
            var outerToken = NextToken(ref outer, out var outerEnded);
            var innerToken = NextToken(ref inner, out var innerEnded);
            if (outerToken is ">")
            {
                return innerToken.Length > 0;
            }

            // A literal or * covers no token of the inner filter that may stand for more than it.
            if (innerToken is ">" || innerToken.IsEmpty || !(outerToken is "*" || outerToken.SequenceEqual(innerToken)))
            {
                return false;
            }

            if (outerEnded || innerEnded)
            {
                return outerEnded && innerEnded;
            }
        }
    }

    private static ReadOnlySpan<char> NextToken(ref ReadOnlySpan<char> rest, out bool ended)
    {
        var dot = rest.IndexOf('.');
        ended = dot < 0;
        var token = ended ? rest : rest[..dot];
        rest = ended ? [] : rest[(dot + 1)..];
        return token;
    }
}
