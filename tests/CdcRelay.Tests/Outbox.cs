using System.Globalization;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using Npgsql;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.CdcRelay.Tests;

/// <summary>A database with the schema, a nats-server with the stream, and relays between the two.</summary>
internal sealed class Outbox : IAsyncDisposable
{
    private static int _slots;

    private readonly List<ServiceProcess> _relays = [];
    private readonly NatsConnection _client;

    private Outbox(NatsServer nats, string connectionString, string slot)
    {
        (Nats, ConnectionString, Slot) = (nats, connectionString, slot);
        Database = NpgsqlDataSource.Create(connectionString);
        // The driver would let 2 s pass before its second attempt.
        _client = new(new NatsOpts { Url = nats.Url, ReconnectWaitMin = TimeSpan.FromMilliseconds(100), ReconnectWaitMax = TimeSpan.FromMilliseconds(500) });
        JetStream = new(_client);
    }

    public NatsServer Nats { get; }

    public string ConnectionString { get; }

    public string Slot { get; }

    public NpgsqlDataSource Database { get; }

    public IReadOnlyList<ServiceProcess> Relays => _relays;

    public NatsJSContext JetStream { get; }

    /// <param name="postgres">A server of the test's own; the shared one by default.</param>
    public static async Task<Outbox> CreateAsync(PostgresServer? postgres = null, NatsServerOptions? nats = null, bool withStream = true)
    {
        postgres ??= await PostgresServer.StartAsync();
        var connectionString = await postgres.CreateDatabaseAsync();
        var slot = string.Create(CultureInfo.InvariantCulture, $"outbox_{Environment.ProcessId}_{Interlocked.Increment(ref _slots)}");
        var outbox = new Outbox(await NatsServer.StartAsync(nats), connectionString, slot);
        if (withStream)
        {
            await outbox.CreateStreamAsync();
        }

        return outbox;
    }

    public async Task CreateStreamAsync(string name = "WEBHOOKS", params string[] subjects)
        => await JetStream.CreateStreamAsync(new StreamConfig(name, subjects.Length == 0 ? ["webhooks.>", "events.>"] : subjects)
        {
            Storage = StreamConfigStorage.File,
            Discard = StreamConfigDiscard.New,
            DuplicateWindow = TimeSpan.FromMinutes(2),
        });

    public async Task<ServiceProcess> StartRelayAsync(bool waitUntilReady = true, params (string Key, string Value)[] settings)
    {
        var environment = new Dictionary<string, string?>
        {
            ["ConnectionStrings__rules"] = ConnectionString,
            ["ConnectionStrings__nats"] = Nats.Url,
            ["Relay__SlotName"] = Slot,
        };
        foreach (var (key, value) in settings)
        {
            environment[key] = value;
        }

        var relay = await ServiceProcess.StartAsync("CdcRelay", environment, waitUntilReady);
        _relays.Add(relay);
        return relay;
    }

    /// <summary>Waits until the relay reads the WAL. It polls until it has made its slot, which waits for every transaction of the server.</summary>
    public Task StreamingAsync() => Wait.UntilAsync(
        () => ScalarAsync<bool>("SELECT EXISTS (SELECT FROM pg_replication_slots s JOIN pg_stat_replication r ON r.pid = s.active_pid WHERE s.slot_name = $1)", Slot),
        "the relay streams");

    /// <summary>Registers a webhook that publishes to <c>webhooks.&lt;name&gt;</c>, or to the subject given.</summary>
    public async Task<int> RegisterAsync(string name, string? subject = null)
    {
        var id = await ScalarAsync<int>("SELECT rule_webhook_register($1, 'https://example.com/hook')", name);
        await ScalarAsync<bool>("SELECT rule_webhook_enable_nats($1, $2, 'nats')", id, (object?)subject ?? DBNull.Value);
        return id;
    }

    /// <summary>One event in a transaction of its own.</summary>
    public Task<long> PublishAsync(int webhookId, string payload, string? messageId = null)
        => ScalarAsync<long>(
            "SELECT (rule_webhook_publish_nats($1, $2::jsonb, $3) ->> 'publish_id')::bigint", webhookId, payload, (object?)messageId ?? DBNull.Value);

    public async Task<T> ScalarAsync<T>(string sql, params object[] parameters)
    {
        await using var command = Database.CreateCommand(sql);
        foreach (var parameter in parameters)
        {
            command.Parameters.Add(new() { Value = parameter });
        }

        return (T)(await command.ExecuteScalarAsync())!;
    }

    public async Task ExecuteAsync(string sql, params object[] parameters)
    {
        await using var command = Database.CreateCommand(sql);
        foreach (var parameter in parameters)
        {
            command.Parameters.Add(new() { Value = parameter });
        }

        await command.ExecuteNonQueryAsync();
    }

    public Task<long> CountAsync(string state)
        => ScalarAsync<long>("SELECT count(*) FROM rule_nats_publish_history WHERE state = $1", state);

    public Task<string> StateAsync(long publishId)
        => ScalarAsync<string>("SELECT state FROM rule_nats_publish_history WHERE publish_id = $1", publishId);

    public Task StoredAsync(long publishId, ServiceProcess? relay = null)
        => SettledAsync(async () => await StateAsync(publishId) == "stored", $"row {publishId} is stored", relay);

    public Task NothingPendingAsync(ServiceProcess? relay = null, TimeSpan? deadline = null)
        => SettledAsync(async () => await CountAsync("pending") == 0, "no row is pending", relay, deadline);

    /// <summary>Every message of a stream, in its order.</summary>
    public async Task<List<Message>> ReadStreamAsync(string name = "WEBHOOKS")
    {
        var messages = new List<Message>();
        var stream = await JetStream.GetStreamAsync(name);
        var last = stream.Info.State.LastSeq;
        if (stream.Info.State.Messages == 0)
        {
            return messages;
        }

        var consumer = await JetStream.CreateOrderedConsumerAsync(name);
        await foreach (var message in consumer.ConsumeAsync<byte[]>())
        {
            var sequence = message.Metadata!.Value.Sequence.Stream;
            messages.Add(new(sequence, message.Subject, message.Data ?? [], message.Headers!));
            if (sequence >= last)
            {
                break;
            }
        }

        return messages;
    }

    /// <summary>
    /// Every stored row is in the stream at its place and under its id, every message of the stream belongs to one such row, and no id is there twice.
    /// </summary>
    public async Task<List<Message>> AssertHistoryIsTheStreamAsync()
    {
        var messages = await ReadStreamAsync();
        Assert.Equal(messages.Count, messages.Select(message => message.Id).Distinct().Count());
        var places = new Dictionary<string, long>();
        await using var command = Database.CreateCommand("SELECT nats_msg_id, sequence_number FROM rule_nats_publish_history WHERE state = 'stored' AND stream_name = 'WEBHOOKS'");
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            places.Add(reader.GetString(0), reader.GetInt64(1));
        }

        Assert.Equal(places.OrderBy(place => place.Value), messages.Select(message => KeyValuePair.Create(message.Id, (long)message.Sequence)));
        return messages;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var relay in _relays)
        {
            await relay.DisposeAsync();
        }

        await _client.DisposeAsync();
        await Nats.DisposeAsync();
        await Wait.UntilAsync(
            async () =>
            {
                await ExecuteAsync("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = current_database() AND active");
                await ExecuteAsync("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()");
                return true;
            },
            "the slots are dropped");
        await Database.DisposeAsync();
    }

    private static async Task SettledAsync(Func<Task<bool>> condition, string what, ServiceProcess? relay, TimeSpan? deadline = null)
    {
        try
        {
            await Wait.UntilAsync(condition, what, deadline);
        }
        catch (TimeoutException e) when (relay is not null)
        {
            throw new TimeoutException($"{e.Message}; the relay's output:\n{relay.Output}", e);
        }
    }

    internal sealed record Message(ulong Sequence, string Subject, byte[] Body, NatsHeaders Headers)
    {
        public string Id => Headers["Nats-Msg-Id"].ToString();
    }
}
