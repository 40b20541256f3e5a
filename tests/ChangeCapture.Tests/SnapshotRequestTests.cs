using System.Text.Json;

namespace RuleEngineNats.ChangeCapture.Tests;

[Trait("Category", "Servers")]
public sealed class SnapshotRequestTests
{
    private const string Tables = """
        CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT g, g FROM generate_series(1, 500) g;
        CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u SELECT g FROM generate_series(1, 30) g;
        CREATE TABLE log (line text); INSERT INTO log VALUES ('x');
        """;

    [Fact]
    public async Task A_snapshot_is_asked_for_in_sql_while_changes_come()
    {
        await using var harness = await CaptureHarness.CreateAsync(Tables);
        var tool = await harness.CaptureToNatsAsync("--snapshot-chunk-rows", "50");
        await harness.ExecuteAsync("BEGIN; UPDATE t SET n = 0 WHERE id = 1; " + Request(harness.Slot, "[\"public.t\"]") + "; UPDATE t SET n = 0 WHERE id = 2; COMMIT");
        await harness.ExecuteAsync(Request(harness.Slot, "[\"public.?\"]"));
        await harness.ExecuteAsync(Request("another", "[\"public.t\"]"));
        await tool.SaysAsync("is complete: 530 rows of 2 tables");
        await harness.ConfirmedAsync(tool);
        var stored = await harness.ReadStreamAsync();
        Assert.Equal(1000, stored.Count(message => message.Subject == "postgres.public.t.read"));
        Assert.Equal(30, stored.Count(message => message.Subject == "postgres.public.u.read"));
        var said = Said(stored).ToArray();
        Assert.Equal(["started", "started", "completed", "completed"], said.Select(snapshot => snapshot.GetProperty("state").GetString()));
        Assert.Equal(said[0].GetProperty("id").GetString(), said[2].GetProperty("id").GetString());
        Assert.Equal("""["public.t","public.u"]""", said[3].GetProperty("tables").GetRawText());
        // In its own place of the transaction, which another start would know it by.
        Assert.Equal(
            ["transactions.begin.event", "public.t.relation", "public.t.update", "transactions.snapshot.event", "public.t.update", "transactions.commit.event"],
            stored.Take(6).Select(message => message.Subject["postgres.".Length..]));
        Assert.DoesNotContain(stored, message => message.Subject == "postgres.transactions.message.event");
        Assert.Equal(stored.Count, stored.Select(message => message.Id).Distinct().Count());
    }

    [Theory]
    [InlineData("[\"public.log\"]", "table public.log has nothing to tell its rows apart")]
    [InlineData("[\"public.none\",\"t\"]", "no published table is public.none")]
    [InlineData("[\"public.none\",\"t\"]", "'t' has 1 of the 2 parts of schema.table")]
    [InlineData("\"public.t\"", "tables: write a list of patterns")]
    [InlineData("[]", "tables: write a list of patterns")]
    public async Task A_request_that_cannot_be_done_is_said_in_an_event_and_ends_nothing(string tables, string problem)
    {
        await using var harness = await CaptureHarness.CreateAsync(Tables);
        var tool = await harness.CaptureToNatsAsync();
        await harness.ExecuteAsync(Request(harness.Slot, tables));
        await harness.ExecuteAsync("SELECT pg_logical_emit_message(true, 'rule-cdc-snapshot', 'please')");
        await harness.ExecuteAsync("SELECT pg_logical_emit_message(false, 'rule-cdc-snapshot', '{}')");
        await harness.ExecuteAsync(Request(harness.Slot, "[\"public.t\"]"));
        await tool.SaysAsync("is complete: 500 rows of 1 tables");
        await tool.SaysAsync("(please)");
        await tool.SaysAsync("write true: it has to be part of a transaction");
        await harness.ConfirmedAsync(tool);
        var said = Said(await harness.ReadStreamAsync()).ToArray();
        Assert.Equal(["failed", "started", "completed"], said.Select(snapshot => snapshot.GetProperty("state").GetString()));
        Assert.Contains(problem, said[0].GetProperty("error").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_request_survives_a_kill_before_and_behind_its_beginning()
    {
        await using var harness = await CaptureHarness.CreateAsync(Tables);
        var tool = await harness.CaptureToNatsAsync();
        await tool.KillAsync();
        await harness.ExecuteAsync(Request(harness.Slot, "[\"public.t\"]"));
        // Nobody can read the table; so it has begun, and waits.
        await using (var connection = await harness.Database.OpenConnectionAsync())
        await using (var transaction = await connection.BeginTransactionAsync())
        {
            await using var command = new Npgsql.NpgsqlCommand("LOCK t", connection, transaction);
            await command.ExecuteNonQueryAsync();
            tool = await harness.CaptureToNatsAsync();
            await tool.WaitAsync(async () => await harness.StoredAsync() >= 1, "the beginning is stored");
            await harness.ConfirmedAsync(tool);
            await tool.KillAsync();
        }

        tool = await harness.CaptureToNatsAsync();
        await tool.SaysAsync("is complete: 500 rows of 1 tables");
        await harness.ConfirmedAsync(tool);
        var stored = await harness.ReadStreamAsync();
        Assert.Equal(["started", "completed"], Said(stored).Select(snapshot => snapshot.GetProperty("state").GetString()));
        Assert.Equal(500, ReplayedTable.Of(stored, "public.t", "id").Reads.Distinct().Count());
        Assert.Equal(500, stored.Count(message => message.Subject == "postgres.public.t.read"));
    }

    [Fact]
    public async Task A_table_that_is_dropped_while_it_waits_fails_its_snapshot_alone()
    {
        await using var harness = await CaptureHarness.CreateAsync(Tables);
        var tool = await harness.CaptureToNatsAsync();
        await using (var connection = await harness.Database.OpenConnectionAsync())
        await using (var transaction = await connection.BeginTransactionAsync())
        {
            await using var drop = new Npgsql.NpgsqlCommand("DROP TABLE u", connection, transaction);
            await drop.ExecuteNonQueryAsync();
            await harness.ExecuteAsync(Request(harness.Slot, "[\"public.u\"]"));
            await tool.SaysAsync("of public.u");
            await transaction.CommitAsync();
        }

        await tool.SaysAsync("was dropped");
        await harness.ExecuteAsync(Request(harness.Slot, "[\"public.t\"]"));
        await tool.SaysAsync("is complete: 500 rows");
        await harness.ConfirmedAsync(tool);
        Assert.Equal(["started", "failed", "started", "completed"], Said(await harness.ReadStreamAsync()).Select(snapshot => snapshot.GetProperty("state").GetString()));
    }

    [Fact]
    public async Task Always_reads_at_each_start_and_debezium_says_so_in_its_own_words()
    {
        await using var harness = await CaptureHarness.CreateAsync(Tables);
        for (var starts = 1; starts <= 2; starts++)
        {
            var tool = await harness.CaptureToNatsAsync("--snapshot", "always", "--snapshot-table", "public.u", "--format", "debezium");
            await tool.SaysAsync("is complete: 30 rows of 1 tables");
            await harness.ConfirmedAsync(tool);
            Assert.Equal(0, await tool.TerminateAsync());
        }

        var stored = await harness.ReadStreamAsync();
        Assert.Equal(60, stored.Count(message => message.Subject == "postgres.public.u.read"));
        var read = JsonElement.Parse(stored.First(message => message.Subject == "postgres.public.u.read").Body);
        Assert.Equal(("r", "incremental", JsonValueKind.Null, "1"), (
            read.GetProperty("op").GetString(), read.GetProperty("source").GetProperty("snapshot").GetString(), read.GetProperty("before").ValueKind,
            read.GetProperty("after").GetProperty("id").GetString()));
        Assert.Equal(["started", "completed", "started", "completed"], Said(stored).Select(snapshot => snapshot.GetProperty("state").GetString()));
    }

    private static string Request(string slot, string tables)
        => $$"""SELECT pg_logical_emit_message(true, 'rule-cdc-snapshot', '{"slot":"{{slot}}","tables":{{tables}}}')""";

    private static IEnumerable<JsonElement> Said(IEnumerable<StoredEvent> stored) => stored
        .Where(message => message.Subject == "postgres.transactions.snapshot.event")
        .Select(message => JsonElement.Parse(message.Body).GetProperty("Snapshot"));
}
