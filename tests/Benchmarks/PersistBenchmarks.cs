using System.Buffers;
using System.Diagnostics;
using System.Text;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using Npgsql;
using RuleEngineNats.Contracts;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.Benchmarks;

/// <summary>
/// Documents that lie in a stream into their tables: a PostgreSQL with fsync on, nats-server and IngestionWorker as processes. The worker is halted while a run's documents
/// are put there; the run ends when all of them are acknowledged. A row is a row of an entity table: an order, or one of its line items.
/// </summary>
internal sealed class PersistBenchmarks : IAsyncDisposable
{
    private const string BareStream = "BARE";
    private const int OrdersPerSecond = 8_000;

    private readonly PostgresServer _postgres;
    private readonly NatsServer _nats;
    private readonly NatsConnection _connection;
    private readonly NatsJSContext _jetStream;
    private readonly NpgsqlDataSource _database;
    private readonly ServiceProcess _worker;
    private readonly BarePersist _bare;
    private long _lastOrder;
    private long _highestOrder;

    private PersistBenchmarks(PostgresServer postgres, NatsServer nats, NatsConnection connection, NpgsqlDataSource database, ServiceProcess worker)
    {
        (_postgres, _nats, _connection, _database, _worker) = (postgres, nats, connection, database, worker);
        _jetStream = new(connection);
        _bare = new(_jetStream, database);
    }

    public static async Task<PersistBenchmarks> StartAsync()
    {
        var postgres = await PostgresServer.StartPrivateAsync(["fsync=on", "shared_buffers=256MB", "max_wal_size=4GB"]);
        var database = NpgsqlDataSource.Create(await postgres.CreateDatabaseAsync());
        var nats = await NatsServer.StartAsync();
        var connection = new NatsConnection(new NatsOpts { Url = nats.Url });
        await new NatsJSContext(connection).CreateStreamAsync(new StreamConfig(BareStream, ["bare.>"]) { Storage = StreamConfigStorage.File });
        var worker = await ServiceProcess.StartAsync("IngestionWorker", new Dictionary<string, string?>
        {
            ["ConnectionStrings__rules"] = database.ConnectionString,
            ["ConnectionStrings__nats"] = nats.Url,
            ["Ingestion__Entities__Folder"] = Repository.Path("examples", "entities", "tpch"),
            ["DOTNET_ENVIRONMENT"] = "Production",
        });
        await ExecuteAsync(database, """
            CREATE TABLE bare_orders (LIKE orders INCLUDING ALL);
            CREATE TABLE bare_order_line_items (LIKE order_line_items INCLUDING ALL, FOREIGN KEY (order_key) REFERENCES bare_orders (order_key));
            """);
        return new(postgres, nats, connection, database, worker);
    }

    public IEnumerable<Row> Rows() =>
    [
        new("ingest: rows persisted", 0.6, time => PersistAsync(time, again: false), BarePersistAsync),
        new("ingest: rows persisted, all replace older ones", null, time => PersistAsync(time, again: true)),
    ];

    public async ValueTask DisposeAsync()
    {
        await _worker.DisposeAsync();
        await _connection.DisposeAsync();
        await _database.DisposeAsync();
        await _nats.DisposeAsync();
        await _postgres.DisposeAsync();
    }

    private async Task<Run> PersistAsync(TimeSpan time, bool again)
    {
        _worker.Pause();
        _lastOrder = again ? 0 : Math.Max(_lastOrder, _highestOrder);
        var (_, rows) = await PublishAsync("messages.ingest.Order", time);
        _highestOrder = Math.Max(_lastOrder, _highestOrder);
        var clock = Stopwatch.StartNew();
        _worker.Resume();
        await Wait.UntilAsync(
            async () => (await _jetStream.GetConsumerAsync(StreamNames.Messages, ConsumerNames.IngestionWorker)).Info is { NumPending: 0, NumAckPending: 0 }, "all are stored");
        return Run.Of((int)rows, clock.Elapsed, []);
    }

    private async Task<Run> BarePersistAsync(TimeSpan time)
    {
        var (documents, rows) = await PublishAsync("bare.orders", time);
        var clock = Stopwatch.StartNew();
        await _bare.RunAsync(BareStream, documents);
        return Run.Of((int)rows, clock.Elapsed, []);
    }

    private async Task<(int Documents, long Rows)> PublishAsync(string subject, TimeSpan time)
    {
        var (text, rows) = (new StringBuilder(), 0L);
        var count = (int)(OrdersPerSecond * time.TotalSeconds);
        foreach (var keys in Enumerable.Range(0, count).Chunk(1000))
        {
            await Task.WhenAll(keys.Select(async _ =>
            {
                text.Clear();
                var sums = TpchOrders.Append(text, ++_lastOrder);
                rows += sums.Orders + sums.Items;
                var now = TimeProvider.System.GetUtcNow();
                var message = new ArrayBufferWriter<byte>();
                new IngestEnvelope(IngestMessageId.New(now), Encoding.UTF8.GetBytes(text.ToString()), "Order", now).WriteTo(message);
                (await _jetStream.PublishAsync(subject, message.WrittenMemory.ToArray())).EnsureSuccess();
            }));
        }

        await ExecuteAsync(_database, "CHECKPOINT");
        return (count, rows);
    }

    private static async Task ExecuteAsync(NpgsqlDataSource database, string sql)
    {
        await using var command = database.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }
}
