using System.Globalization;
using Npgsql;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.Benchmarks;

/// <summary>PostgreSQL's own load generator: one statement, prepared, by many clients for a time.</summary>
internal static class PgBench
{
    /// <returns>Transactions per second.</returns>
    public static async Task<double> RunAsync(string connectionString, string statement, int clients, TimeSpan time)
    {
        var server = new NpgsqlConnectionStringBuilder(connectionString);
        var script = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(script, statement.ReplaceLineEndings(" ") + "\n");
            var seconds = Math.Max(1, Math.Ceiling(time.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
            await using var process = ChildProcess.Start(PostgresServer.Binary("pgbench"),
            [
                "-h", server.Host!, "-p", server.Port.ToString(CultureInfo.InvariantCulture), "-U", server.Username!, "-n", "-M", "prepared",
                "-c", clients.ToString(CultureInfo.InvariantCulture), "-j", "2", "-T", seconds, "-f", script, server.Database!,
            ]);
            await process.ExitedAsync(TimeSpan.FromMinutes(5));
            var tps = process.Output.Split('\n').FirstOrDefault(line => line.StartsWith("tps = ", StringComparison.Ordinal));
            return process.ExitCode == 0 && tps is not null
                ? double.Parse(tps.Split(' ')[2], CultureInfo.InvariantCulture)
                : throw new InvalidOperationException($"pgbench ended with {process.ExitCode}:\n{process.Output}");
        }
        finally
        {
            File.Delete(script);
        }
    }
}
