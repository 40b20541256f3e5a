using Npgsql;

namespace RuleEngineNats.Sql.Tests;

/// <summary>The client most users have.</summary>
internal static class Psql
{
    public static async Task<(int ExitCode, string Output)> RunAsync(string connectionString, params string[] arguments)
    {
        var database = new NpgsqlConnectionStringBuilder(connectionString);
        await using var psql = ChildProcess.Start(
            "psql",
            ["-X", "-v", "ON_ERROR_STOP=1", "-d", $"postgresql://{database.Username}@{database.Host}:{database.Port}/{database.Database}", .. arguments]);
        await psql.ExitedAsync();
        return (psql.ExitCode, psql.Output);
    }
}
