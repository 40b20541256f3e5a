namespace RuleEngineNats.Sql.Tests;

/// <summary>Needs the extension pgTAP: skipped where the server does not have it, but not in CI, which installs it.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class PgTapTheoryAttribute : TheoryAttribute
{
    public PgTapTheoryAttribute()
    {
        if (!PostgresServer.Offers("pgtap") && Environment.GetEnvironmentVariable("CI") is null)
        {
            Skip = "pgTAP is not installed (Debian: postgresql-<version>-pgtap)";
        }
    }
}
