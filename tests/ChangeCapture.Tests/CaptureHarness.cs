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
    private PostgresServer? _own;

    private CaptureHarness(string connectionString, NatsServer nats, Func<NatsOpts, NatsOpts>? client)
    {
        (ConnectionString, Nats) = (connectionString, nats);
        Slot = string.Create(CultureInfo.InvariantCulture, $"capture_{System.Environment.ProcessId}_{Interlocked.Increment(ref _number)}");
        Folder = Directory.CreateTempSubdirectory("capture-").FullName;
        Database = NpgsqlDataSource.Create(connectionString);
        var options = new NatsOpts { Url = nats.Url, ReconnectWaitMin = TimeSpan.FromMilliseconds(100), ReconnectWaitMax = TimeSpan.FromMilliseconds(500) };
        _client = new(client is null ? options : client(options));
        JetStream = new(_client);
    }

    public string ConnectionString { get; }

    public string Slot { get; }

    public string Folder { get; }

    public NatsServer Nats { get; }

    public NpgsqlDataSource Database { get; }

    public NatsJSContext JetStream { get; }

    /// <summary>What the environment of the tool has besides this process's own.</summary>
    public Dictionary<string, string?> Environment { get; } = [];

    /// <param name="sql">What the database has before anything is captured; publication <c>pub</c> is for all tables.</param>
    /// <param name="nats">Settings of the nats-server.</param>
    /// <param name="client">How the test itself gets in there.</param>
    /// <param name="postgres">A PostgreSQL of the test's own, which the harness ends; null: the one that all tests share.</param>
    public static async Task<CaptureHarness> CreateAsync(string sql, NatsServerOptions? nats = null, Func<NatsOpts, NatsOpts>? client = null, PostgresServer? postgres = null)
    {
        var server = postgres ?? await PostgresServer.StartAsync();
        var harness = new CaptureHarness(await server.CreateEmptyDatabaseAsync(), await NatsServer.StartAsync(nats), client) { _own = postgres };
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
        var tool = new ToolProcess(Path.Combine(Folder, $"{_tools.Count}.out"), arguments, Environment);
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
    public Task<List<StoredEvent>> ReadStreamAsync() => ReadStreamAsync(JetStream);

    /// <summary>The same of another server.</summary>
    public static async Task<List<StoredEvent>> ReadStreamAsync(NatsJSContext jetStream)
    {
        var events = new List<StoredEvent>();
        await foreach (var stored in StreamAsync(jetStream))
        {
            events.Add(stored);
        }

        return events;
    }

    /// <summary>The same, one by one.</summary>
    public IAsyncEnumerable<StoredEvent> StreamAsync() => StreamAsync(JetStream);

    private static async IAsyncEnumerable<StoredEvent> StreamAsync(NatsJSContext jetStream)
    {
        var state = (await jetStream.GetStreamAsync(Stream)).Info.State;
        if (state.Messages == 0)
        {
            yield break;
        }

        var consumer = await jetStream.CreateOrderedConsumerAsync(Stream);
        await foreach (var message in consumer.ConsumeAsync<byte[]>())
        {
            yield return new(message.Subject, message.Data ?? [], message.Headers ?? []);
            if (message.Metadata!.Value.Sequence.Stream >= state.LastSeq)
            {
                break;
            }
        }
    }

    /// <summary>Waits until the slot is confirmed past everything that is committed now.</summary>
    public async Task ConfirmedAsync(ToolProcess tool, TimeSpan? deadline = null)
    {
        var now = await ScalarAsync<NpgsqlTypes.NpgsqlLogSequenceNumber>("SELECT pg_current_wal_lsn()");
        await tool.WaitAsync(
            async () => await ScalarAsync<bool>($"SELECT confirmed_flush_lsn >= '{now}' FROM pg_replication_slots WHERE slot_name = '{Slot}'"), "the slot is confirmed", deadline);
    }

    /// <summary>Copies the slot as it is, or puts the copy back: as if nothing since had been confirmed. Nobody may capture.</summary>
    public async Task CopySlotAsync(bool back = false)
    {
        // The copy waits for a record of the running transactions, which is written now and then; a checkpoint writes one.
        await ExecuteAsync("CHECKPOINT");
        var (from, to) = back ? ($"{Slot}_copy", Slot) : (Slot, $"{Slot}_copy");
        await Wait.UntilAsync(
            async () =>
            {
                await ExecuteAsync($"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '{to}'");
                await ExecuteAsync($"SELECT pg_copy_logical_replication_slot('{from}', '{to}')");
                return true;
            },
            "the slot is free");
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
                await ExecuteAsync($"SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name IN ('{Slot}', '{Slot}_copy') AND active");
                await ExecuteAsync($"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name IN ('{Slot}', '{Slot}_copy')");
                return true;
            },
            "the slot is dropped");
        await Database.DisposeAsync();
        if (_own is not null)
        {
            await _own.DisposeAsync();
        }

        Directory.Delete(Folder, recursive: true);
    }
}

/// <summary>A message of the stream.</summary>
internal sealed record StoredEvent(string Subject, byte[] Bytes, NatsHeaders Headers)
{
    public string Id => Headers.TryGetValue("Nats-Msg-Id", out var id) ? id.ToString() : "";

    public string Body { get; } = System.Text.Encoding.UTF8.GetString(Bytes);
}
