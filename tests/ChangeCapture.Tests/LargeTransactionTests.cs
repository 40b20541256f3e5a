using Npgsql;
using RuleEngineNats.TestKit;

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
                await ExecuteAsync(connection, sql);
            }

            // Commits while the large one is open come before it.
            await harness.ExecuteAsync("INSERT INTO t VALUES (300001)");
            await tool.WaitAsync(() => Task.FromResult(tool.Lines().Length >= 7), "the small transaction is there");
            await tool.WaitAsync(() => harness.ScalarAsync<bool>($"SELECT stream_txns > 0 FROM pg_stat_replication_slots WHERE slot_name = '{harness.Slot}'"), "the server streams");
            await ExecuteAsync(connection, "COMMIT");
        }

        await harness.ExecuteAsync("BEGIN; INSERT INTO t SELECT g, 3 FROM generate_series(400001, 405000) g; ROLLBACK");
        await harness.ExecuteAsync("INSERT INTO t VALUES (500001)");
        await harness.ConfirmedAsync(tool);
        var stored = await harness.ReadStreamAsync();
        Assert.Equal([0, 300001, .. Enumerable.Range(1, 100000), 500001], Rows.Ids(stored));
        Assert.Equal(tool.Lines(), stored.Select(message => message.Body));
        Assert.InRange(tool.PeakMegabytes(), 1, 256);
    }

    [Fact]
    public async Task A_description_from_a_part_that_was_rolled_back_does_not_replace_a_newer_one()
    {
        await using var harness = await CaptureHarness.CreateAsync($"{Rows.Table}; CREATE TABLE other (id int)");
        await harness.ExecuteAsync($"ALTER DATABASE {new NpgsqlConnectionStringBuilder(harness.ConnectionString).Database} SET logical_decoding_work_mem = '64kB'");
        var tool = await harness.CaptureToNatsAsync();
        await using (var connection = await harness.Database.OpenConnectionAsync())
        {
            await ExecuteAsync(connection, "BEGIN; SAVEPOINT a; INSERT INTO t SELECT g FROM generate_series(1, 3000) g");
            await tool.WaitAsync(() => harness.ScalarAsync<bool>($"SELECT stream_txns > 0 FROM pg_stat_replication_slots WHERE slot_name = '{harness.Slot}'"), "the server streams");
            await ExecuteAsync(connection, "ROLLBACK TO a");
            await harness.ExecuteAsync("ALTER TABLE t ADD extra text DEFAULT 'new'; INSERT INTO t VALUES (10001)");
            await ExecuteAsync(connection, "INSERT INTO other VALUES (1); COMMIT");
        }

        await harness.ExecuteAsync("INSERT INTO t VALUES (10002)");
        await harness.ConfirmedAsync(tool);
        var stored = await harness.ReadStreamAsync();
        Assert.Equal([10001, 10002], Rows.Ids(stored));
        Assert.All(stored.Where(message => message.Subject == "postgres.public.t.insert"), message => Assert.Contains("\"extra\":\"new\"", message.Body, StringComparison.Ordinal));
        Assert.Single(stored, message => message.Subject == "postgres.public.t.relation");
    }

    [Fact]
    public async Task A_spool_without_room_is_named_and_tried_again_until_there_is_some()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        await harness.ExecuteAsync($"ALTER DATABASE {new NpgsqlConnectionStringBuilder(harness.ConnectionString).Database} SET logical_decoding_work_mem = '64kB'");
        var tool = await harness.CaptureToNatsAsync("--target", "nats", "--spool-directory", harness.Folder);
        await LimitFilesAsync(tool, "100000");
        await harness.ExecuteAsync("INSERT INTO t SELECT g FROM generate_series(1, 5000) g");
        await harness.ExecuteAsync("INSERT INTO t VALUES (5001)");
        await tool.SaysAsync($"SpoolDirectory (--spool-directory): {harness.Folder} does not take a transaction that has not committed yet: ", times: 2);
        Assert.DoesNotContain("PostgreSQL is not ready", tool.Log, StringComparison.Ordinal);
        Assert.Equal(0, await harness.StoredAsync());

        await LimitFilesAsync(tool, "unlimited");
        await harness.ConfirmedAsync(tool);
        Assert.Equal(Enumerable.Range(1, 5001), Rows.Ids(await harness.ReadStreamAsync()));
        Assert.DoesNotContain(Directory.GetFiles($"/proc/{tool.Id}/fd"), file => new FileInfo(file).LinkTarget?.Contains(".spool", StringComparison.Ordinal) == true);
    }

    internal static async Task LimitFilesAsync(ToolProcess tool, string bytes)
    {
        await using var limit = ChildProcess.Start("prlimit", [$"--pid={tool.Id}", $"--fsize={bytes}:unlimited"]);
        await limit.ExitedAsync();
        Assert.True(limit.ExitCode == 0, limit.Output);
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 120 };
        await command.ExecuteNonQueryAsync();
    }
}
