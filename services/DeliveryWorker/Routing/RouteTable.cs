using System.Collections.Frozen;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.DeliveryWorker.Routing;

/// <summary>
/// Which endpoints receive a subject. Literal filters are one look-up; filters with wildcards are tried only when their first token can match, so ten
/// thousand endpoints for other events cost nothing.
/// </summary>
internal sealed class RouteTable
{
    private readonly FrozenDictionary<string, Endpoint[]> _literal;
    private readonly FrozenDictionary<string, Endpoint[]>.AlternateLookup<ReadOnlySpan<char>> _byFirstToken;
    private readonly Endpoint[] _anyFirstToken;
    private readonly FrozenDictionary<int, Endpoint> _byId;

    public RouteTable(IEnumerable<Endpoint> endpoints)
    {
        var all = endpoints.OrderBy(endpoint => endpoint.Id).ToArray();
        _byId = all.ToFrozenDictionary(endpoint => endpoint.Id);
        Recovering = [.. all.Where(endpoint => endpoint.MayRecover).Select(endpoint => endpoint.Id)];
        var routed = all.Where(endpoint => endpoint.Filter is { } filter && SubjectRules.Check(filter, allowWildcards: true) is null).ToArray();
        _literal = Group(routed.Where(endpoint => !HasWildcard(endpoint.Filter!)), endpoint => endpoint.Filter!);
        var wild = routed.Where(endpoint => HasWildcard(endpoint.Filter!)).ToLookup(endpoint => FirstToken(endpoint.Filter) is "*" or ">");
        _byFirstToken = Group(wild[false], endpoint => FirstToken(endpoint.Filter).ToString()).GetAlternateLookup<ReadOnlySpan<char>>();
        _anyFirstToken = [.. wild[true]];
    }

    public static RouteTable Empty { get; } = new([]);

    /// <summary>Those that failures switched off and the success of a probe switches on.</summary>
    public IReadOnlyList<int> Recovering { get; }

    public Endpoint? Find(int webhookId) => _byId.GetValueOrDefault(webhookId);

    public IReadOnlyList<Endpoint> Match(string subject)
    {
        _literal.TryGetValue(subject, out var literal);
        List<Endpoint>? matched = null;
        if (_byFirstToken.TryGetValue(FirstToken(subject), out var candidates))
        {
            AddMatching(candidates, subject, ref matched);
        }

        AddMatching(_anyFirstToken, subject, ref matched);
        if (matched is null)
        {
            return literal ?? [];
        }

        matched.AddRange(literal ?? []);
        return matched;
    }

    private static void AddMatching(Endpoint[] candidates, string subject, ref List<Endpoint>? matched)
    {
        foreach (var candidate in candidates)
        {
            if (SubjectFilter.Matches(candidate.Filter, subject))
            {
                (matched ??= []).Add(candidate);
            }
        }
    }

    private static FrozenDictionary<string, Endpoint[]> Group(IEnumerable<Endpoint> endpoints, Func<Endpoint, string> key)
        => endpoints.GroupBy(key, StringComparer.Ordinal).ToFrozenDictionary(group => group.Key, group => group.ToArray(), StringComparer.Ordinal);

    private static bool HasWildcard(string filter) => filter.AsSpan().IndexOfAny('*', '>') >= 0;

    private static ReadOnlySpan<char> FirstToken(ReadOnlySpan<char> subject)
    {
        var dot = subject.IndexOf('.');
        return dot < 0 ? subject : subject[..dot];
    }
}
