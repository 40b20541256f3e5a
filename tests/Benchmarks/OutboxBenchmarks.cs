using System.Collections.Concurrent;
using System.Diagnostics;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using Npgsql;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.Benchmarks;

/// <summary>
/// SQL publishes through the relay: a PostgreSQL with fsync on, a nats-server and the relay as processes. Latency is the relay's own
/// measure, from the commit to the PubAck; a run ends when every event is marked stored.
/// </summary>
internal sealed class OutboxBenchmarks : IAsyncDisposable
{
    private const int Writers = 4;
    private const int Tens = 10;
    private const int TensClients = 8;
    private const int LoadBlock = 10_000;
    private const int PurgedPerSecond = 20_000;
    private const int PoisonIn = 100;

    // What the load block of RFC-0007 publishes.
    private const string ShortPayload = """{"id": 10000, "data": "test"}""";

    private static readonly string Payload = $$"""{"data": "{{new string('x', 1000)}}"}""";

    // The columns that a publish fills, into a table with the history's columns and indexes and nothing else.
    private static readonly string BareInsert = $"""
        INSERT INTO bench_bare (publish_id, webhook_id, subject, payload, triggered_by, stream_name, body_sha256, nats_msg_id, config_id)
        VALUES (nextval('bench_bare_id'), 1, 'webhooks.bench', '{Payload}'::jsonb, 'bench', 'WEBHOOKS', '\x{new string('0', 64)}', 'p0123456789ab_123456', 1);
        """;

    private readonly PostgresServer _postgres;
    private readonly NatsServer _nats;
    private readonly NpgsqlDataSource _database;
    private readonly ServiceProcess _relay;
    private readonly int _webhookId;
    private readonly int _homelessId;

    private OutboxBenchmarks(PostgresServer postgres, NatsServer nats, NpgsqlDataSource database, ServiceProcess relay, int webhookId, int homelessId)
        => (_postgres, _nats, _database, _relay, _webhookId, _homelessId) = (postgres, nats, database, relay, webhookId, homelessId);

    public static async Task<OutboxBenchmarks> StartAsync()
    {
        var postgres = await PostgresServer.StartPrivateAsync(["fsync=on", "shared_buffers=256MB", "max_wal_size=4GB"]);
        var connectionString = await postgres.CreateDatabaseAsync();
        var nats = await NatsServer.StartAsync();
        await using (var client = new NatsConnection(new NatsOpts { Url = nats.Url }))
        {
            await new NatsJSContext(client).CreateStreamAsync(new StreamConfig("WEBHOOKS", ["webhooks.>", "events.>"])
            {
                Storage = StreamConfigStorage.File,
                DuplicateWindow = TimeSpan.FromMinutes(2),
            });
        }

        var database = NpgsqlDataSource.Create(connectionString);
        var relay = await ServiceProcess.StartAsync(
            "CdcRelay", new Dictionary<string, string?>
            {
                ["ConnectionStrings__rules"] = connectionString,
                ["ConnectionStrings__nats"] = nats.Url,
                ["Relay__MaintainInterval"] = "00:00:01",
            });
        var webhookId = await RegisterAsync(database, "bench", subject: null);
        var homelessId = await RegisterAsync(database, "homeless", "elsewhere.bench");
        await using var bare = database.CreateCommand("""
            CREATE TABLE bench_bare (LIKE rule_nats_publish_history INCLUDING DEFAULTS INCLUDING INDEXES) WITH (fillfactor = 45);
            CREATE SEQUENCE bench_bare_id
            """);
        await bare.ExecuteNonQueryAsync();
        return new(postgres, nats, database, relay, webhookId, homelessId);
    }

    public IEnumerable<Row> Rows() =>
    [
        new("SQL publish, 10 a transaction, payload of the load block, committed and stored", null, time => TensAsync(time, ShortPayload)),
        new("SQL publish, 10 a transaction, payload of 1 KB, committed and stored", null, time => TensAsync(time, Payload)),
        new("SQL publish, one a transaction, 1,000/s asked, commit to PubAck", null, ThousandAsync),
        new("RFC-0007 load block, 10,000 calls in one DO, committed", null, async _ => (await LoadBlockAsync()).Committed),
        new("RFC-0007 load block, 10,000 calls in one DO, commit to all stored", null, async _ => (await LoadBlockAsync()).Stored),
        PgBenchRow(16),
        PgBenchRow(100),
        new("Time of a publish in SQL, 500/s asked, relay and NATS stopped (bare: running)", null, OutageAsync, StatementsAsync),
        new("Time of a publish in SQL, 500/s asked, while a purge runs (bare: none)", null, PurgeAsync, StatementsAsync),
        new("SQL publish, 100 a transaction, one of them without a stream (bare: none)", 0.9, time => GoodRowsAsync(time, _homelessId), time => GoodRowsAsync(time, _webhookId)),
    ];

    public async ValueTask DisposeAsync()
    {
        await _relay.DisposeAsync();
        await _database.DisposeAsync();
        await _nats.DisposeAsync();
        await _postgres.DisposeAsync();
    }

    private static async Task<int> RegisterAsync(NpgsqlDataSource database, string name, string? subject)
    {
        await using var register = database.CreateCommand("SELECT rule_webhook_register($1, 'https://example.com/hook')");
        register.Parameters.Add(new() { Value = name });
        var webhookId = (int)(await register.ExecuteScalarAsync())!;
        await using var enable = database.CreateCommand("SELECT rule_webhook_enable_nats($1, $2::text, 'nats')");
        enable.Parameters.Add(new() { Value = webhookId });
        enable.Parameters.Add(new() { Value = (object?)subject ?? DBNull.Value });
        await enable.ExecuteNonQueryAsync();
        return webhookId;
    }

    private async Task<Run> ThousandAsync(TimeSpan time)
    {
        var before = await NewestAsync();
        var clock = Stopwatch.StartNew();
        var published = await WriteAllAsync(clock, time, perSecond: 1000);
        await StoredAsync(before);
        var elapsed = clock.Elapsed;
        return Run.Of(published, elapsed, await LatenciesAsync(before));
    }

    private async Task<Run> TensAsync(TimeSpan time, string payload)
    {
        var before = await NewestAsync();
        var clock = Stopwatch.StartNew();
        var perSecond = await PgBench.RunAsync(
            _database.ConnectionString, $"SELECT count(rule_webhook_publish_nats({_webhookId}, '{payload}'::jsonb)) FROM generate_series(1, {Tens});", TensClients, time);
        await StoredAsync(before);
        var elapsed = clock.Elapsed;
        return Run.Of((int)(perSecond * Tens * time.TotalSeconds), elapsed, await LatenciesAsync(before));
    }

    private async Task<(Run Committed, Run Stored)> LoadBlockAsync()
    {
        var before = await NewestAsync();
        var clock = Stopwatch.StartNew();
        // Statements take no parameters inside of DO: the id and the payload are ours.
        await using (var block = _database.CreateCommand($"""
            DO $$ BEGIN FOR i IN 1..{LoadBlock} LOOP PERFORM rule_webhook_call_unified({_webhookId}, jsonb_build_object('id', i, 'data', 'test')); END LOOP; END $$
            """))
        {
            await block.ExecuteNonQueryAsync();
        }

        var committed = clock.Elapsed;
        await StoredAsync(before);
        var stored = clock.Elapsed - committed;
        return (Run.Of(LoadBlock, committed, []), Run.Of(LoadBlock, stored, await LatenciesAsync(before)));
    }

    private Row PgBenchRow(int clients) => new(
        $"SQL publish, one a transaction, pgbench with {clients} clients, committed", 0.6,
        async time =>
        {
            var before = await NewestAsync();
            var perSecond = await PgBench.RunAsync(_database.ConnectionString, $"SELECT rule_webhook_publish_nats({_webhookId}, '{Payload}'::jsonb);", clients, time);
            await StoredAsync(before);
            return Run.Of(1, TimeSpan.FromSeconds(1 / perSecond), await LatenciesAsync(before));
        },
        async time => Run.Of(1, TimeSpan.FromSeconds(1 / await PgBench.RunAsync(_database.ConnectionString, BareInsert, clients, time)), []));

    private async Task<Run> StatementsAsync(TimeSpan time)
    {
        var clock = Stopwatch.StartNew();
        var times = new ConcurrentBag<double>();
        var published = await WriteAllAsync(clock, time, perSecond: 500, times);
        return Run.Of(published, clock.Elapsed, times);
    }

    private async Task<Run> OutageAsync(TimeSpan time)
    {
        var before = await NewestAsync();
        await _relay.KillAsync();
        await _nats.KillAsync();
        var run = await StatementsAsync(time);
        await _nats.RestartAsync();
        await _relay.RestartAsync();
        await StoredAsync(before);
        return run;
    }

    // Committed and stored; what has no stream waits, and is not counted.
    private async Task<Run> GoodRowsAsync(TimeSpan time, int hundredth)
    {
        var before = await NewestAsync();
        var clock = Stopwatch.StartNew();
        var published = await Task.WhenAll(Enumerable.Range(0, Writers).Select(async _ =>
        {
            await using var command = _database.CreateCommand(
                "SELECT count(rule_webhook_publish_nats(CASE WHEN n = 1 THEN $1 ELSE $2 END, $3::jsonb)) FROM generate_series(1, $4) AS n");
            command.Parameters.Add(new() { Value = hundredth });
            command.Parameters.Add(new() { Value = _webhookId });
            command.Parameters.Add(new() { Value = Payload });
            command.Parameters.Add(new() { Value = PoisonIn });
            var good = 0;
            while (clock.Elapsed < time)
            {
                await command.ExecuteNonQueryAsync();
                good += PoisonIn - 1;
            }

            return good;
        }));
        await StoredAsync(before);
        return Run.Of(published.Sum(), clock.Elapsed, await LatenciesAsync(before));
    }

    // Calls that are a day over their time: the relay purges them at once, and has more of them than it comes to.
    private async Task<Run> PurgeAsync(TimeSpan time)
    {
        await using var fill = _database.CreateCommand("""
            INSERT INTO rule_webhook_calls (webhook_id, payload, status, created_at, completed_at)
            SELECT $1, '{}', 'success', now() - interval '8 days', now() - interval '8 days' FROM generate_series(1, $2)
            """);
        fill.Parameters.Add(new() { Value = _webhookId });
        fill.Parameters.Add(new() { Value = (int)(time.TotalSeconds * PurgedPerSecond) });
        fill.CommandTimeout = 0;
        await fill.ExecuteNonQueryAsync();
        var before = await ExpiredAsync();
        var run = await StatementsAsync(time);
        var after = await ExpiredAsync();
        Console.Error.WriteLine($"purged {(before - after) / time.TotalSeconds:0} rows a second, {after} are left");
        await using var rest = _database.CreateCommand("TRUNCATE rule_webhook_calls CASCADE");
        await rest.ExecuteNonQueryAsync();
        return run;
    }

    private async Task<long> ExpiredAsync()
    {
        await using var expired = _database.CreateCommand("SELECT count(*) FROM rule_webhook_calls");
        return (long)(await expired.ExecuteScalarAsync())!;
    }

    private async Task<long> NewestAsync()
    {
        await using var newest = _database.CreateCommand("SELECT coalesce(max(publish_id), 0) FROM rule_nats_publish_history");
        return (long)(await newest.ExecuteScalarAsync())!;
    }

    private Task StoredAsync(long after) => Wait.UntilAsync(
        async () =>
        {
            await using var pending = _database.CreateCommand("SELECT NOT EXISTS (SELECT FROM rule_nats_publish_history WHERE publish_id > $1 AND webhook_id = $2 AND state <> 'stored')");
            pending.Parameters.Add(new() { Value = after });
            pending.Parameters.Add(new() { Value = _webhookId });
            return (bool)(await pending.ExecuteScalarAsync())!;
        },
        "every event is stored",
        TimeSpan.FromMinutes(5));

    private async Task<int> WriteAllAsync(Stopwatch clock, TimeSpan time, double perSecond, ConcurrentBag<double>? times = null)
        => (await Task.WhenAll(Enumerable.Range(0, Writers).Select(_ => WriteAsync(clock, time, perSecond / Writers, times)))).Sum();

    // Open loop: the next one is due whether the last one took long or not.
    private async Task<int> WriteAsync(Stopwatch clock, TimeSpan time, double perSecond, ConcurrentBag<double>? times)
    {
        await using var connection = await _database.OpenConnectionAsync();
        await using var command = new NpgsqlCommand("SELECT rule_webhook_publish_nats($1, $2::jsonb)", connection)
        {
            Parameters = { new() { Value = _webhookId }, new() { Value = Payload } },
        };
        await command.PrepareAsync();
        var count = 0;
        while (clock.Elapsed < time)
        {
            if (TimeSpan.FromSeconds(count / perSecond) - clock.Elapsed is var early && early > TimeSpan.Zero)
            {
                await Task.Delay(early);
            }

            var began = Stopwatch.GetTimestamp();
            await command.ExecuteNonQueryAsync();
            times?.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
            count++;
        }

        return count;
    }

    private async Task<List<double>> LatenciesAsync(long after)
    {
        await using var command = _database.CreateCommand("SELECT latency_ms::float8 FROM rule_nats_publish_history WHERE publish_id > $1 AND state = 'stored'");
        command.Parameters.Add(new() { Value = after });
        await using var reader = await command.ExecuteReaderAsync();
        var latencies = new List<double>();
        while (await reader.ReadAsync())
        {
            latencies.Add(reader.GetDouble(0));
        }

        return latencies;
    }
}
