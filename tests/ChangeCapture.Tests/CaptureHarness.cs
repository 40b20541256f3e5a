using System.Globalization;
using NATS.Client.Core;
using NATS.Client.JetStream;
using Npgsql;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.ChangeCapture.Tests;

/// <summary>A database, a nats-server, and the command line tool between the two.</summary>
internal sealed class CaptureHarness : IAsyncDisposable
{
    public const string Stream = "postgres_replication";

    private static int _number;

    private readonly List<ToolProcess> _tools = [];
    private readonly NatsConnection _client;

    private CaptureHarness(string connectionString, NatsServer nats)
    {
        (ConnectionString, Nats) = (connectionString, nats);
        Slot = string.Create(CultureInfo.InvariantCulture, $"capture_{Environment.ProcessId}_{Interlocked.Increment(ref _number)}");
        Folder = Directory.CreateTempSubdirectory("capture-").FullName;
        Database = NpgsqlDataSource.Create(connectionString);
        _client = new(new NatsOpts { Url = nats.Url, ReconnectWaitMin = TimeSpan.FromMilliseconds(100), ReconnectWaitMax = TimeSpan.FromMilliseconds(500) });
        JetStream = new(_client);
    }

    public string ConnectionString { get; }

    public string Slot { get; }

    public string Folder { get; }

    public NatsServer Nats { get; }

    public NpgsqlDataSource Database { get; }

    public NatsJSContext JetStream { get; }

    /// <param name="sql">What the database has before anything is captured; publication <c>pub</c> is for all tables.</param>
    /// <param name="postgres">A server of the test's own; null for the shared one.</param>
    public static async Task<CaptureHarness> CreateAsync(string sql, NatsServerOptions? nats = null, PostgresServer? postgres = null)
    {
        postgres ??= await PostgresServer.StartAsync();
        var harness = new CaptureHarness(await postgres.CreateEmptyDatabaseAsync(), await NatsServer.StartAsync(nats));
        await harness.ExecuteAsync("CREATE PUBLICATION pub FOR ALL TABLES");
        await harness.ExecuteAsync(sql);
        return harness;
    }

    /// <summary>Starts the tool on the slot, which it makes where it is missing, and waits until it captures.</summary>
    public async Task<ToolProcess> CaptureAsync(params string[] arguments)
    {
        var tool = Start(["-c", ConnectionString, "-s", Slot, "-p", "pub", "--create-slot", .. arguments]);
        await tool.SaysAsync("capturing from slot");
        return tool;
    }

    /// <summary>The same, into the stream as well.</summary>
    public Task<ToolProcess> CaptureToNatsAsync(params string[] arguments) => CaptureAsync(["--nats-server", Nats.Url, .. arguments]);

    /// <summary>Starts the tool with these arguments alone.</summary>
    public ToolProcess Start(params string[] arguments)
    {
        var tool = new ToolProcess(Path.Combine(Folder, $"{_tools.Count}.out"), arguments);
        _tools.Add(tool);
        return tool;
    }

    public async Task ExecuteAsync(string sql)
    {
        await using var command = Database.CreateCommand(sql);
        command.CommandTimeout = 120;
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>How many rows the stream has that snapshots read.</summary>
    public async Task<long> ReadsAsync(string table = "public.t")
    {
        try
        {
            var subjects = (await JetStream.GetStreamAsync(Stream, new() { SubjectsFilter = $"postgres.{table}.read" })).Info.State.Subjects;
            return subjects?.Values.Sum() ?? 0;
        }
        catch (NatsException)
        {
            return 0;
        }
    }

    public async Task<T> ScalarAsync<T>(string sql)
    {
        await using var command = Database.CreateCommand(sql);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    /// <summary>How many messages the stream has; 0 while there is none.</summary>
    public async Task<long> StoredAsync()
    {
        try
        {
            return (long)(await JetStream.GetStreamAsync(Stream)).Info.State.Messages;
        }
        catch (NatsException)
        {
            return 0;
        }
    }

    /// <summary>Every message of the stream, in its order.</summary>
    /// <param name="from">Another server; null for <see cref="Nats"/>.</param>
    public async Task<List<StoredEvent>> ReadStreamAsync(NatsJSContext? from = null)
    {
        from ??= JetStream;
        var events = new List<StoredEvent>();
        var state = (await from.GetStreamAsync(Stream)).Info.State;
        if (state.Messages == 0)
        {
            return events;
        }

        var consumer = await from.CreateOrderedConsumerAsync(Stream);
        await foreach (var message in consumer.ConsumeAsync<string>())
        {
            events.Add(new(message.Subject, message.Data!, message.Headers!["Nats-Msg-Id"].ToString()));
            if (message.Metadata!.Value.Sequence.Stream >= state.LastSeq)
            {
                break;
            }
        }

        return events;
    }

    /// <summary>Waits until the slot is confirmed past everything that is committed now.</summary>
    public async Task ConfirmedAsync(ToolProcess tool)
    {
        var now = await ScalarAsync<NpgsqlTypes.NpgsqlLogSequenceNumber>("SELECT pg_current_wal_lsn()");
        await tool.WaitAsync(
            async () => await ScalarAsync<bool>($"SELECT confirmed_flush_lsn >= '{now}' FROM pg_replication_slots WHERE slot_name = '{Slot}'"), "the slot is confirmed");
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var tool in _tools)
        {
            await tool.DisposeAsync();
        }

        await _client.DisposeAsync();
        await Nats.DisposeAsync();
        await Wait.UntilAsync(
            async () =>
            {
                await ExecuteAsync($"SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '{Slot}' AND active");
                await ExecuteAsync($"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '{Slot}'");
                return true;
            },
            "the slot is dropped");
        await Database.DisposeAsync();
        Directory.Delete(Folder, recursive: true);
    }
}

/// <summary>A message of the stream.</summary>
internal sealed record StoredEvent(string Subject, string Body, string Id);
