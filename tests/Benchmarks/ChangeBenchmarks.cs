using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using Npgsql;
using NpgsqlTypes;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.Benchmarks;

/// <summary>
/// Row changes into JetStream: a PostgreSQL with fsync on, nats-server and pgoutput-stream as processes. A run ends when every change is stored. In the
/// runs of a bulk insert the reader is halted until it is committed.
/// </summary>
internal sealed class ChangeBenchmarks : IAsyncDisposable
{
    private const string Stream = "postgres_replication";
    private const string BareStream = "BARE";
    private const string Columns = "(name, email, amount, note)";
    private const string Row = "'Ann Example', 'ann@example.com', 12.34, repeat('x', 100)";
    private const int RowsPerSecond = 30_000;
    private const int Clients = 16;

    // Of a transaction with one row: begin, row, commit.
    private const int EventsOfOne = 3;

    // PostgreSQL's clock begins in 2000.
    private static readonly DateTimeOffset Epoch = new(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly PostgresServer _postgres;
    private readonly NatsServer _nats;
    private readonly NatsConnection _connection;
    private readonly NatsJSContext _jetStream;
    private readonly NpgsqlDataSource _database;
    private readonly ChildProcess _tool;
    private readonly BareCapture _bare;

    private ChangeBenchmarks(PostgresServer postgres, NatsServer nats, NatsConnection connection, NpgsqlDataSource database, ChildProcess tool, string connectionString)
    {
        (_postgres, _nats, _connection, _database, _tool) = (postgres, nats, connection, database, tool);
        _jetStream = new(connection);
        _bare = new(connectionString, _jetStream);
    }

    public static async Task<ChangeBenchmarks> StartAsync()
    {
        var postgres = await PostgresServer.StartPrivateAsync(["fsync=on", "shared_buffers=256MB", "max_wal_size=4GB"]);
        var connectionString = await postgres.CreateEmptyDatabaseAsync();
        var nats = await NatsServer.StartAsync();
        var connection = new NatsConnection(new NatsOpts { Url = nats.Url });
        await new NatsJSContext(connection).CreateStreamAsync(new StreamConfig(BareStream, ["bare.>"]) { Storage = StreamConfigStorage.File });
        var database = NpgsqlDataSource.Create(connectionString);
        foreach (var table in (string[])["ours", "bare"])
        {
            await using var command = database.CreateCommand(
                $"CREATE TABLE {table} (id bigserial PRIMARY KEY, name text, email text, amount numeric, note text, created timestamptz DEFAULT now()); CREATE PUBLICATION {table} FOR TABLE {table}");
            await command.ExecuteNonQueryAsync();
        }

        await using (var command = database.CreateCommand("SELECT pg_create_logical_replication_slot('bare', 'pgoutput')"))
        {
            await command.ExecuteNonQueryAsync();
        }

        var tool = ChildProcess.Start("dotnet",
        [
            Repository.Service("PgoutputStream", "pgoutput-stream"), "-c", connectionString, "-s", "ours", "-p", "ours", "--create-slot", "--with-transaction",
            "--target", "nats", "--nats-server", nats.Url,
        ]);
        await Wait.UntilAsync(() => tool.Output.Contains("capturing from slot", StringComparison.Ordinal) || (tool.HasExited ? throw new InvalidOperationException(tool.Output) : false), "it captures");
        return new(postgres, nats, connection, database, tool, connectionString);
    }

    public IEnumerable<Row> Rows() =>
    [
        new("cdc, bulk insert, rows stored", 0.7, BulkAsync, BareBulkAsync),
        new($"cdc, {Clients} pgbench clients, rows stored", 0.7, PgBenchAsync, BarePgBenchAsync),
        new("cdc, 1,000/s asked, commit to stored", null, ThousandAsync),
    ];

    public async ValueTask DisposeAsync()
    {
        await _tool.DisposeAsync();
        await _connection.DisposeAsync();
        await _database.DisposeAsync();
        await _nats.DisposeAsync();
        await _postgres.DisposeAsync();
    }

    private async Task<Run> BulkAsync(TimeSpan time)
    {
        await ConfirmedAsync();
        var before = await LastSequenceAsync();
        _tool.Pause();
        var rows = await InsertAsync("ours", time);
        var clock = Stopwatch.StartNew();
        _tool.Resume();
        await StoredAsync(before + 1 + rows + 1);
        return Run.Of(rows, clock.Elapsed, []);
    }

    private async Task<Run> BareBulkAsync(TimeSpan time)
    {
        await AdvanceAsync();
        var rows = await InsertAsync("bare", time);
        var clock = Stopwatch.StartNew();
        await _bare.RunAsync(rows);
        return Run.Of(rows, clock.Elapsed, []);
    }

    private async Task<Run> PgBenchAsync(TimeSpan time)
    {
        await ConfirmedAsync();
        var (before, rows) = (await LastSequenceAsync(), await CountAsync("ours"));
        var clock = Stopwatch.StartNew();
        await PgBench.RunAsync(_database.ConnectionString, $"INSERT INTO ours {Columns} VALUES ({Row});", Clients, time);
        rows = await CountAsync("ours") - rows;
        await StoredAsync(before + (EventsOfOne * rows));
        return Run.Of((int)rows, clock.Elapsed, []);
    }

    private async Task<Run> BarePgBenchAsync(TimeSpan time)
    {
        await AdvanceAsync();
        var rows = await CountAsync("bare");
        var count = new TaskCompletionSource<long>();
        var clock = Stopwatch.StartNew();
        var reading = _bare.RunAsync(count.Task);
        await PgBench.RunAsync(_database.ConnectionString, $"INSERT INTO bare {Columns} VALUES ({Row});", Clients, time);
        rows = await CountAsync("bare") - rows;
        count.SetResult(rows);
        await reading;
        return Run.Of((int)rows, clock.Elapsed, []);
    }

    private async Task<Run> ThousandAsync(TimeSpan time)
    {
        const int Batch = 20;
        await ConfirmedAsync();
        var before = await LastSequenceAsync();
        var rows = 0;
        var clock = Stopwatch.StartNew();
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(Batch));
        while (clock.Elapsed < time)
        {
            await Task.WhenAll(Enumerable.Range(0, Batch).Select(_ => ExecuteAsync($"INSERT INTO ours {Columns} VALUES ({Row})")));
            rows += Batch;
            await timer.WaitForNextTickAsync();
        }

        await StoredAsync(before + (EventsOfOne * rows));
        var elapsed = clock.Elapsed;
        return Run.Of(rows, elapsed, await LatenciesAsync(before, rows));
    }

    // By the clock of the machine that both servers share.
    private async Task<List<double>> LatenciesAsync(long after, int rows)
    {
        var latencies = new List<double>(rows);
        var consumer = await _jetStream.CreateOrderedConsumerAsync(Stream, new NatsJSOrderedConsumerOpts
        {
            DeliverPolicy = ConsumerConfigDeliverPolicy.ByStartSequence,
            OptStartSeq = (ulong)after + 1,
            FilterSubjects = ["postgres.public.ours.insert"],
        });
        await foreach (var message in consumer.ConsumeAsync<byte[]>())
        {
            using var json = JsonDocument.Parse(message.Data!);
            var microseconds = json.RootElement.GetProperty("Insert").GetProperty("transaction").GetProperty("commit_timestamp").GetInt64();
            latencies.Add((message.Metadata!.Value.Timestamp - Epoch.AddMicroseconds(microseconds)).TotalMilliseconds);
            if (latencies.Count == rows)
            {
                break;
            }
        }

        return latencies;
    }

    private async Task<int> InsertAsync(string table, TimeSpan time)
    {
        var rows = (int)(RowsPerSecond * time.TotalSeconds);
        await ExecuteAsync(string.Create(CultureInfo.InvariantCulture, $"INSERT INTO {table} {Columns} SELECT {Row} FROM generate_series(1, {rows})"));
        return rows;
    }

    // What the runs of the other one wrote is not for this one to read.
    private Task AdvanceAsync() => ExecuteAsync("SELECT pg_replication_slot_advance('bare', pg_current_wal_lsn())");

    private async Task ConfirmedAsync()
    {
        await using var now = _database.CreateCommand("SELECT pg_current_wal_lsn()");
        var lsn = await now.ExecuteScalarAsync();
        await Wait.UntilAsync(
            async () =>
            {
                await using var command = _database.CreateCommand("SELECT confirmed_flush_lsn >= $1 FROM pg_replication_slots WHERE slot_name = 'ours'");
                command.Parameters.Add(new() { Value = lsn, NpgsqlDbType = NpgsqlDbType.PgLsn });
                return await command.ExecuteScalarAsync() is true;
            },
            "the slot is confirmed");
    }

    private async Task StoredAsync(long sequence)
    {
        while (await LastSequenceAsync() < sequence)
        {
            await Task.Delay(10);
        }
    }

    private async Task<long> LastSequenceAsync()
    {
        try
        {
            return (long)(await _jetStream.GetStreamAsync(Stream)).Info.State.LastSeq;
        }
        catch (NatsJSApiException)
        {
            return 0;
        }
    }

    private async Task<long> CountAsync(string table)
    {
        await using var command = _database.CreateCommand($"SELECT count(*) FROM {table}");
        return (long)(await command.ExecuteScalarAsync())!;
    }

    private async Task ExecuteAsync(string sql)
    {
        await using var command = _database.CreateCommand(sql);
        command.CommandTimeout = 120;
        await command.ExecuteNonQueryAsync();
    }
}
