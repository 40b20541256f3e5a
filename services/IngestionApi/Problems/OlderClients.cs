using RuleEngineNats.Problems;

namespace RuleEngineNats.IngestionApi.Problems;

/// <summary>The member <c>error</c>, in which clients of the interface before this one look for what is wrong.</summary>
internal static class OlderClients
{
    public static Problem ForOlderClients(this Problem problem)
        => problem.Error is null ? problem with { Error = $"{(problem.Status < 500 ? "Validation error" : "Internal error")}: {problem.Detail}" } : problem;
}
