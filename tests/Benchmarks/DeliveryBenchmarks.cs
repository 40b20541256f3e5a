using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using Npgsql;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.Benchmarks;

/// <summary>
/// Delivery of events of 1 KiB that lie in the stream: a PostgreSQL with fsync on, nats-server, the worker and the endpoint as processes. The worker is
/// halted while a run's events are published, and a run ends when the last is acknowledged.
/// </summary>
internal sealed class DeliveryBenchmarks : IAsyncDisposable
{
    private const string Stream = "WEBHOOKS";
    private const string BareStream = "BARE";
    private const string Consumer = "delivery-worker";
    private const int Concurrency = 64;
    private const int Webhooks = 1000;
    private const int Healthy = 50;

    // What connects is never accepted, and never answered.
    private static readonly TcpListener Hole = new(IPAddress.Loopback, 0);

    // An endpoint that had more than its eight places at a moment has some of them in the queue.
    private const string HealthyLeft = "SELECT count(*) FROM rule_webhook_calls JOIN rule_webhooks USING (webhook_id) WHERE webhook_name LIKE 'healthy%' AND due_at IS NOT NULL";

    private static readonly byte[] Body = System.Text.Encoding.UTF8.GetBytes($$"""{"data":"{{new string('x', 1013)}}"}""");

    private readonly PostgresServer _postgres;
    private readonly NatsServer _nats;
    private readonly NatsConnection _connection;
    private readonly NpgsqlDataSource _database;
    private readonly ServiceProcess _worker;
    private readonly Process _receiver;
    private readonly BareDelivery _bare;
    private readonly NatsJSContext _jetStream;
    private double _perSecond = 2000;
    private int _published;

    private DeliveryBenchmarks(PostgresServer postgres, NatsServer nats, NatsConnection connection, NpgsqlDataSource database, ServiceProcess worker, Process receiver, int port)
    {
        (_postgres, _nats, _connection, _database, _worker, _receiver) = (postgres, nats, connection, database, worker, receiver);
        _jetStream = new NatsJSContext(connection);
        _bare = new(_jetStream, database, new Uri($"http://127.0.0.1:{port}/bare"), Concurrency);
    }

    public static async Task<DeliveryBenchmarks> StartAsync()
    {
        var postgres = await PostgresServer.StartPrivateAsync(["fsync=on", "shared_buffers=256MB", "max_wal_size=4GB"]);
        var connectionString = await postgres.CreateDatabaseAsync();
        var nats = await NatsServer.StartAsync();
        var connection = new NatsConnection(new NatsOpts { Url = nats.Url });
        var jetStream = new NatsJSContext(connection);
        await jetStream.CreateStreamAsync(new StreamConfig(Stream, ["webhooks.>", "events.>"]) { Storage = StreamConfigStorage.File });
        await jetStream.CreateStreamAsync(new StreamConfig(BareStream, ["bare.>"]) { Storage = StreamConfigStorage.File });
        var port = Ports.Free();
        var receiver = Process.Start(new ProcessStartInfo(Environment.ProcessPath!, [typeof(DeliveryBenchmarks).Assembly.Location, "--receiver", port.ToString(CultureInfo.InvariantCulture)])
        {
            // Idle threads that spin would take the processor from what is measured.
            Environment = { ["DOTNET_ThreadPool_UnfairSemaphoreSpinLimit"] = "0" },
        })!;
        var database = NpgsqlDataSource.Create(connectionString);
        await using (var command = database.CreateCommand("""
            SELECT rule_webhook_register('one', $1, p_enable_nats => true, p_nats_subject => 'events.one');
            """))
        {
            command.Parameters.Add(new() { Value = $"http://127.0.0.1:{port}/one" });
            await command.ExecuteNonQueryAsync();
        }

        await using (var command = database.CreateCommand("""
            SELECT rule_webhook_register('many' || n, $1, p_enable_nats => true, p_nats_subject => 'events.many.' || n) FROM generate_series(1, $2) n
            """))
        {
            command.Parameters.Add(new() { Value = $"http://127.0.0.1:{port}/many" });
            command.Parameters.Add(new() { Value = Webhooks });
            await command.ExecuteNonQueryAsync();
        }

        await using (var command = database.CreateCommand($$"""
            UPDATE rule_webhooks SET max_concurrency = {{Concurrency}};
            CREATE TABLE bench_attempts (LIKE rule_webhook_call_history INCLUDING ALL)
            """))
        {
            await command.ExecuteNonQueryAsync();
        }

        await using (var command = database.CreateCommand("""
            SELECT rule_webhook_register('healthy' || n, $1 || '/healthy', p_enable_nats => true, p_nats_subject => 'events.healthy.' || n) FROM generate_series(1, $2) n;
            """))
        {
            command.Parameters.Add(new() { Value = $"http://127.0.0.1:{port}" });
            command.Parameters.Add(new() { Value = Healthy });
            await command.ExecuteNonQueryAsync();
        }

        Hole.Start();
        foreach (var (name, url) in new[] { ("hole", Hole.LocalEndpoint.ToString()!), ("slow", $"127.0.0.1:{port}/slow"), ("wrong", $"127.0.0.1:{port}/wrong") })
        {
            await using var command = database.CreateCommand("SELECT rule_webhook_register($1, 'http://' || $2, p_timeout_ms => 30000, p_enable_nats => true, p_nats_subject => 'events.bad.' || $1)");
            command.Parameters.Add(new() { Value = name });
            command.Parameters.Add(new() { Value = url });
            await command.ExecuteNonQueryAsync();
        }

        await using (var command = database.CreateCommand("UPDATE rule_webhooks SET publish_mode = 'nats'"))
        {
            await command.ExecuteNonQueryAsync();
        }

        var worker = await ServiceProcess.StartAsync("DeliveryWorker", new Dictionary<string, string?>
        {
            ["ConnectionStrings__rules"] = connectionString,
            ["ConnectionStrings__nats"] = nats.Url,
            ["Delivery__Concurrency"] = Concurrency.ToString(CultureInfo.InvariantCulture),
            ["Logging__LogLevel__Default"] = "Warning",
        });
        var benchmarks = new DeliveryBenchmarks(postgres, nats, connection, database, worker, receiver, port);
        // A worker compiles its way of an event a second time after some ten thousand of them; the bare loop's is shorter and done sooner.
        await benchmarks.OursAsync(TimeSpan.FromSeconds(15), _ => "events.one");
        return benchmarks;
    }

    public IEnumerable<Row> Rows() =>
    [
        new("delivery, one webhook, 1 KiB", 0.7, time => OursAsync(time, _ => "events.one"), BareAsync),
        new("delivery beside POSTs alone", null, time => OursAsync(time, _ => "events.one"), time => _bare.PostAsync(time, Body)),
        new("delivery, 1,000 webhooks on 1,000 subjects, beside one webhook", 0.9, time => OursAsync(time, n => $"events.many.{1 + (n % Webhooks)}"), time => OursAsync(time, _ => "events.one")),
        new("delivery to 50 healthy endpoints beside a black hole, one at 29 s and one always 500", 0.95, time => BesideAsync(() => HealthyAsync(time)), time => AloneAsync(() => HealthyAsync(time))),
        new("delivery of 1,000/s to the 50, publish to answer", null, time => BesideAsync(() => PacedAsync(time)), time => AloneAsync(() => PacedAsync(time))),
    ];

    public async ValueTask DisposeAsync()
    {
        await _worker.DisposeAsync();
        _receiver.Kill();
        _receiver.Dispose();
        await _connection.DisposeAsync();
        await _database.DisposeAsync();
        await _nats.DisposeAsync();
        await _postgres.DisposeAsync();
    }

    private async Task<Run> OursAsync(TimeSpan time, Func<int, string> subject)
    {
        var count = Count(time);
        _worker.Pause();
        await PublishAsync(count, subject);
        var clock = Stopwatch.StartNew();
        _worker.Resume();
        await WaitAsync("SELECT 0");
        var run = Run.Of(count, clock.Elapsed, []);
        if (await CountAsync("SELECT count(*) FROM rule_webhook_calls") is > 0 and var calls)
        {
            throw new InvalidOperationException($"{calls} events were left to the queue");
        }

        _perSecond = run.PerSecond;
        return run;
    }

    // The bad three have 5,700 events parked and as many in flight as they can.
    private async Task<Run> BesideAsync(Func<Task<Run>> run)
    {
        await PublishAsync(5700, n => n < 5000 ? "events.bad.hole" : n < 5200 ? "events.bad.slow" : "events.bad.wrong");
        await WaitAsync("SELECT 0");
        return await AloneAsync(run);
    }

    private async Task<Run> AloneAsync(Func<Task<Run>> run)
    {
        var result = await run();
        await using var command = _database.CreateCommand("DELETE FROM rule_webhook_calls; DELETE FROM rule_webhook_health");
        await command.ExecuteNonQueryAsync();
        return result;
    }

    private async Task<Run> HealthyAsync(TimeSpan time)
    {
        var count = Count(time);
        _worker.Pause();
        await PublishAsync(count, HealthySubject);
        var clock = Stopwatch.StartNew();
        _worker.Resume();
        await WaitAsync(HealthyLeft);
        return Run.Of(count, clock.Elapsed, []);
    }

    private async Task<Run> PacedAsync(TimeSpan time)
    {
        const int Batch = 20;
        var first = _published + 1;
        var sent = new List<double>();
        var clock = Stopwatch.StartNew();
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(Batch));
        while (clock.Elapsed < time)
        {
            sent.AddRange(Enumerable.Repeat((double)TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds(), Batch));
            await PublishAsync(Batch, HealthySubject);
            await timer.WaitForNextTickAsync();
        }

        await WaitAsync(HealthyLeft);
        var elapsed = clock.Elapsed;
        var latencies = new List<double>();
        await using var command = _database.CreateCommand("SELECT substr(event_id, 3)::int, extract(epoch FROM completed_at)::float8 * 1000 FROM rule_webhook_call_history WHERE outcome = 'delivered' AND subject LIKE 'events.healthy.%' AND substr(event_id, 3)::int >= $1");
        command.Parameters.Add(new() { Value = first });
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            latencies.Add(reader.GetDouble(1) - sent[reader.GetInt32(0) - first]);
        }

        return Run.Of(sent.Count, elapsed, latencies);
    }

    private async Task WaitAsync(string none)
    {
        while ((await _jetStream.GetConsumerAsync(Stream, Consumer)).Info is not { NumPending: 0, NumAckPending: 0 } || await CountAsync(none) > 0)
        {
            await Task.Delay(25);
        }
    }

    private async Task<long> CountAsync(string sql)
    {
        await using var command = _database.CreateCommand(sql);
        return Convert.ToInt64(await command.ExecuteScalarAsync(), CultureInfo.InvariantCulture);
    }

    private async Task<Run> BareAsync(TimeSpan time)
    {
        var count = Count(time);
        await PublishAsync(count, _ => "bare.x");
        var clock = Stopwatch.StartNew();
        await _bare.RunAsync(BareStream, count);
        return Run.Of(count, clock.Elapsed, []);
    }

    private static string HealthySubject(int number) => $"events.healthy.{1 + (number % Healthy)}";

    private int Count(TimeSpan time) => (int)(_perSecond * time.TotalSeconds);

    private async Task PublishAsync(int count, Func<int, string> subject)
    {
        for (var begin = 0; begin < count; begin += 256)
        {
            await Task.WhenAll(Enumerable.Range(begin, Math.Min(256, count - begin)).Select(async n =>
                (await _jetStream.PublishAsync(subject(n), Body, opts: new NatsJSPubOpts { MsgId = string.Create(CultureInfo.InvariantCulture, $"1_{Interlocked.Increment(ref _published)}") })).EnsureSuccess()));
        }
    }
}
