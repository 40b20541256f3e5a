using System.Globalization;
using Npgsql;

namespace RuleEngineNats.ChangeCapture.Tests;

[Trait("Category", "Servers")]
public sealed class LargeTransactionTests
{
    [Fact]
    public async Task A_transaction_larger_than_the_servers_memory_is_streamed_in_bounded_memory()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        await harness.ExecuteAsync($"ALTER DATABASE {new NpgsqlConnectionStringBuilder(harness.ConnectionString).Database} SET logical_decoding_work_mem = '64kB'");
        var tool = await harness.CaptureToNatsAsync();
        await harness.ExecuteAsync("INSERT INTO t VALUES (0)");
        await tool.HasLinesAsync(4);
        await using (var connection = await harness.Database.OpenConnectionAsync())
        {
            foreach (var sql in (string[])[
                "BEGIN", "INSERT INTO t SELECT g, 1 FROM generate_series(1, 50000) g", "SAVEPOINT a", "INSERT INTO t SELECT g, 2 FROM generate_series(200001, 203000) g",
                "ALTER TABLE t ADD extra int", "ROLLBACK TO a", "INSERT INTO t SELECT g, 1 FROM generate_series(50001, 100000) g"])
            {
                await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 120 };
                await command.ExecuteNonQueryAsync();
            }

            // Commits while the large one is open come before it.
            await harness.ExecuteAsync("INSERT INTO t VALUES (300001)");
            await tool.WaitAsync(() => Task.FromResult(tool.Lines().Length >= 7), "the small transaction is there");
            await tool.WaitAsync(() => harness.ScalarAsync<bool>($"SELECT stream_txns > 0 FROM pg_stat_replication_slots WHERE slot_name = '{harness.Slot}'"), "the server streams");
            await using var commit = new NpgsqlCommand("COMMIT", connection);
            await commit.ExecuteNonQueryAsync();
        }

        await harness.ExecuteAsync("BEGIN; INSERT INTO t SELECT g, 3 FROM generate_series(400001, 405000) g; ROLLBACK");
        await harness.ExecuteAsync("INSERT INTO t VALUES (500001)");
        await harness.ConfirmedAsync(tool);
        var stored = await harness.ReadStreamAsync();
        Assert.Equal([0, 300001, .. Enumerable.Range(1, 100000), 500001], Rows.Ids(stored));
        Assert.Equal(tool.Lines(), stored.Select(message => message.Body));
        Assert.InRange(PeakMegabytes(tool.Id), 1, 256);
    }

    internal static long PeakMegabytes(int process)
        => long.Parse(File.ReadLines($"/proc/{process}/status").Single(line => line.StartsWith("VmHWM", StringComparison.Ordinal)).Split(':')[1].Replace("kB", "", StringComparison.Ordinal), CultureInfo.InvariantCulture) / 1024;
}
