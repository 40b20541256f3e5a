using Npgsql;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.IngestionWorker.Tests;

[Trait("Category", "Servers")]
public sealed class FaultTests
{
    private const int Documents = 6000;

    // Rows of it are only added: one that is stored twice is seen.
    private const string Reading = """
        entity:
          name: Reading
          source_type: root
          fields:
            - {name: sensor, type: String, args: [40]}
            - {name: value, type: Integer}
          persistence:
            database: {conformant_table: readings, conformant_id_column: id}
            primary_key: {name: id, type: Integer, autogenerate: true}
        """;

    private static readonly (string, string)[] Impatient =
        [("Ingestion__Worker__AckWait", "00:00:02"), ("Ingestion__Worker__ProgressEvery", "00:00:00.500"), ("Ingestion__Worker__BatchSize", "200")];

    [Fact]
    public async Task I34_a_worker_killed_before_the_commit_never_shows_completed()
    {
        await using var ingestion = await Ingestion.StartAsync();
        var worker = await ingestion.StartWorkerAsync(settings: Impatient);
        await using var holding = await ingestion.Database.OpenConnectionAsync();
        await using var transaction = await holding.BeginTransactionAsync();
        await using (var hold = new NpgsqlCommand("LOCK TABLE order_line_items IN ACCESS EXCLUSIVE MODE", holding))
        {
            await hold.ExecuteNonQueryAsync();
        }

        var ids = await ingestion.SendManyAsync(Orders.Many(20));
        // The statuses are written, and the rows wait.
        await Wait.UntilAsync(() => ingestion.ScalarAsync<bool>("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'order_line_items'::regclass)"), "the worker waits");
        Assert.Equal(0, await ingestion.CountAsync("message_status"));
        await worker.KillAsync();
        await Wait.UntilAsync(() => ingestion.ScalarAsync<bool>("SELECT NOT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'order_line_items'::regclass)"), "its session is gone");
        Assert.Equal(0, await ingestion.CountAsync("message_status"));

        // Another has it, and waits as well: delivered before, so that it is processing.
        await ingestion.StartWorkerAsync(settings: Impatient);
        await ingestion.HasStatusAsync(ids[^1], "processing 1");
        Assert.Equal(0, await ingestion.CountAsync("message_status", "status <> 'processing'"));
        await transaction.RollbackAsync();
        await ingestion.HasStatusAsync(ids[0], "completed 1");
        await ingestion.SettledAsync();
        Assert.Equal("20 40 20", await ingestion.ScalarAsync<string>(
            "SELECT concat_ws(' ', (SELECT count(*) FROM orders), (SELECT count(*) FROM order_line_items), (SELECT sum(completed) FROM ingest_totals))"));
    }

    [Fact]
    public async Task Workers_killed_and_PostgreSQL_killed_and_nats_killed_lose_nothing_and_store_nothing_twice()
    {
        await using var postgres = await PostgresServer.StartPrivateAsync();
        await using var ingestion = await Ingestion.StartAsync(postgres);
        await File.WriteAllTextAsync(Path.Combine(ingestion.Entities, "reading.yaml"), Reading);
        ServiceProcess[] workers = [await ingestion.StartWorkerAsync(settings: Impatient), await ingestion.StartWorkerAsync(settings: Impatient)];
        var sending = SendAsync();
        await StoredAsync(300);
        await workers[0].KillAsync();
        await workers[0].RestartAsync();
        await StoredAsync(1200);
        await postgres.KillAsync();
        await postgres.RestartAsync();
        await StoredAsync(2400);
        await workers[1].KillAsync();
        await ingestion.Nats.KillAsync();
        await ingestion.Nats.RestartAsync();
        await workers[1].RestartAsync();
        await StoredAsync(3600);
        await postgres.KillAsync();
        await workers[0].KillAsync();
        await postgres.RestartAsync();
        await workers[0].RestartAsync();
        await sending;
        await Wait.UntilAsync(async () => await ingestion.CountAsync("message_status", "status = 'completed'") == Documents, "all are completed");
        await ingestion.SettledAsync();
        Assert.Equal(Documents, await ingestion.CountAsync("readings"));
        Assert.Equal(Documents, await ingestion.ScalarAsync<long>("SELECT count(DISTINCT value) FROM readings"));
        Assert.Equal(Documents, await ingestion.ScalarAsync<decimal>("SELECT sum(completed) FROM ingest_totals"));
        Assert.Empty(await ingestion.DeadLettersAsync());

        // In portions, and each until the server has it.
        async Task SendAsync()
        {
            foreach (var part in Enumerable.Range(0, Documents).Chunk(100))
            {
                foreach (var number in part)
                {
                    var id = Guid.NewGuid();
                    await Wait.UntilAsync(
                        async () =>
                        {
                            await ingestion.SendAsync($$"""{"sensor":"s","value":{{number}}}""", "Reading", id);
                            return true;
                        },
                        "it is sent");
                }
            }
        }

        Task StoredAsync(long documents) => Wait.UntilAsync(
            async () => await ingestion.CountAsync("message_status", "status = 'completed'") >= documents, $"{documents} are completed");
    }

    [Fact]
    public async Task While_PostgreSQL_is_away_the_worker_lives_waits_and_gives_nothing_up()
    {
        await using var postgres = await PostgresServer.StartPrivateAsync();
        await using var ingestion = await Ingestion.StartAsync(postgres);
        var worker = await ingestion.StartWorkerAsync(settings: Impatient);
        await postgres.KillAsync();
        var ids = await ingestion.SendManyAsync(Orders.Many(50));
        await worker.SaysAsync("documents wait to be stored");
        var consumer = await ingestion.ConsumerAsync();
        // Longer than ack_wait: what waits is reported as in work.
        using (var http = new HttpClient())
        {
            await Wait.UntilAsync(async () => (await ingestion.ConsumerAsync()).NumAckPending == 50, "it has them all");
            var since = TimeProvider.System.GetTimestamp();
            await Wait.UntilAsync(() => TimeProvider.System.GetElapsedTime(since) > TimeSpan.FromSeconds(5), "ack_wait has passed twice");
            Assert.True((await http.GetAsync(new Uri(worker.HttpUrl, "/health/live"))).IsSuccessStatusCode);
        }

        Assert.Equal(503, (await worker.HealthAsync()).Status);
        Assert.Equal(0, (await ingestion.ConsumerAsync()).NumRedelivered);
        await postgres.RestartAsync();
        await ingestion.HasStatusAsync(ids[^1], "completed 0");
        await ingestion.SettledAsync();
        Assert.Equal(50, await ingestion.CountAsync("message_status", "status = 'completed'"));
        Assert.Empty(await ingestion.DeadLettersAsync());
    }

    [Fact]
    public async Task At_a_stop_what_is_in_work_is_finished_and_the_rest_is_given_back_at_once()
    {
        await using var ingestion = await Ingestion.StartAsync();
        await ingestion.SendManyAsync(Orders.Many(3000));
        var worker = await ingestion.StartWorkerAsync(settings: ("Ingestion__Worker__BatchSize", "50"));
        Assert.Equal(0, await worker.TerminateAsync(TimeSpan.FromSeconds(20)));
        // ack_wait is a minute: what was not given back would be missing.
        await ingestion.StartWorkerAsync();
        await Wait.UntilAsync(async () => await ingestion.CountAsync("orders") == 3000, "all are stored", TimeSpan.FromSeconds(40));
        await ingestion.SettledAsync(TimeSpan.FromSeconds(10));
        Assert.Equal(3000, await ingestion.ScalarAsync<decimal>("SELECT sum(completed) FROM ingest_totals"));
    }

    [Fact]
    public async Task At_a_stop_while_PostgreSQL_hangs_everything_is_given_back_when_the_drain_time_is_over()
    {
        await using var ingestion = await Ingestion.StartAsync();
        var worker = await ingestion.StartWorkerAsync(settings: ("Ingestion__Worker__DrainTimeout", "00:00:01"));
        await using var holding = await ingestion.Database.OpenConnectionAsync();
        await using var transaction = await holding.BeginTransactionAsync();
        await using (var hold = new NpgsqlCommand("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE", holding))
        {
            await hold.ExecuteNonQueryAsync();
        }

        var id = await ingestion.SendAsync(Orders.Of("O-1"));
        await Wait.UntilAsync(() => ingestion.ScalarAsync<bool>("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'orders'::regclass)"), "the worker waits");
        Assert.Equal(0, await worker.TerminateAsync(TimeSpan.FromSeconds(15)));
        await transaction.RollbackAsync();
        await ingestion.StartWorkerAsync();
        await Wait.UntilAsync(async () => await ingestion.StatusAsync(id) == "completed 1", "another has it at once", TimeSpan.FromSeconds(15));
    }

    [Fact]
    public async Task A_server_that_came_back_without_its_last_messages_is_consumed_from_where_it_is()
    {
        await using var ingestion = await Ingestion.StartAsync();
        await ingestion.StartWorkerAsync();
        await ingestion.HasStatusAsync(await ingestion.SendAsync(Orders.Of("kept")), "completed 0");
        await ingestion.SettledAsync();
        await ingestion.Nats.KillAsync();
        ingestion.Nats.CopyStore();
        await ingestion.Nats.RestartAsync();
        await ingestion.SendManyAsync(Orders.Many(10, "lost"));
        await ingestion.SettledAsync();
        await ingestion.Nats.KillAsync();
        ingestion.Nats.RestoreStore(withConsumers: false);
        await ingestion.Nats.RestartAsync();
        // Stored at sequences that the consumer had seen already.
        var again = await ingestion.SendManyAsync(Orders.Many(5, "new"));
        await ingestion.HasStatusAsync(again[^1], "completed 0");
        await ingestion.SettledAsync();
        Assert.Equal(16, await ingestion.CountAsync("orders"));
    }
}
