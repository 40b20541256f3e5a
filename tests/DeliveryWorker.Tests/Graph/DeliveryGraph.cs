using System.Globalization;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using Npgsql;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.DeliveryWorker.Tests.Graph;

/// <summary>A nats-server, a database, a receiver and as many workers as a test wants, all real and all its own.</summary>
internal sealed class DeliveryGraph : IAsyncDisposable
{
    public const string Stream = "WEBHOOKS";

    private const string Consumer = "delivery-worker";

    private readonly List<ServiceProcess> _workers = [];
    private readonly NatsConnection _connection;

    private DeliveryGraph(NatsServer nats, string connectionString, WebhookReceiver receiver)
    {
        (Nats, ConnectionString, Receiver) = (nats, connectionString, receiver);
        Database = NpgsqlDataSource.Create(connectionString);
        // The driver would let 2 s pass before its second attempt.
        _connection = new NatsConnection(new NatsOpts { Url = nats.Url, ReconnectWaitMin = TimeSpan.FromMilliseconds(100), ReconnectWaitMax = TimeSpan.FromMilliseconds(500) });
        JetStream = new NatsJSContext(_connection);
    }

    public NatsServer Nats { get; }

    public string ConnectionString { get; }

    public NpgsqlDataSource Database { get; }

    public WebhookReceiver Receiver { get; }

    public NatsJSContext JetStream { get; }

    public static async Task<DeliveryGraph> StartAsync(bool withStream = true) => await StartAsync(await PostgresServer.StartAsync(), withStream);

    public static async Task<DeliveryGraph> StartAsync(PostgresServer postgres, bool withStream = true)
    {
        var graph = new DeliveryGraph(await NatsServer.StartAsync(), await postgres.CreateDatabaseAsync(), await WebhookReceiver.StartAsync());
        if (withStream)
        {
            await graph.CreateStreamAsync();
        }

        return graph;
    }

    public async Task CreateStreamAsync()
        => await JetStream.CreateStreamAsync(new StreamConfig(Stream, ["webhooks.>", "events.>"]) { Storage = StreamConfigStorage.File });

    /// <summary>Starts a worker and waits until it is ready.</summary>
    public async Task<ServiceProcess> StartWorkerAsync(bool waitUntilReady = true, params (string Key, string Value)[] settings)
    {
        var environment = new Dictionary<string, string?>
        {
            ["ConnectionStrings__rules"] = ConnectionString,
            ["ConnectionStrings__nats"] = Nats.Url,
            ["Messaging__PingInterval"] = "00:00:01",
        };
        foreach (var (key, value) in settings)
        {
            environment[key] = value;
        }

        var worker = await ServiceProcess.StartAsync("DeliveryWorker", environment, waitUntilReady);
        _workers.Add(worker);
        return worker;
    }

    /// <summary>Registers an endpoint that takes a subject filter's events at a path of the receiver.</summary>
    public async Task<Webhook> RegisterAsync(
        string name, string? filter, string? path = null, string? url = null, string headers = "{}", int timeoutMs = 10_000, int maxRetries = 3, int retryDelayMs = 200,
        string? settings = null)
    {
        var id = (int)(await ScalarAsync(
            "SELECT rule_webhook_register($1, $2, p_headers => $3::jsonb, p_timeout_ms => $4, p_max_retries => $5)",
            name, url ?? Receiver.Url(path!), headers, timeoutMs, maxRetries))!;
        await ExecuteAsync(
            "UPDATE rule_webhooks SET retry_delay_ms = $2, nats_enabled = $3::text IS NOT NULL, nats_subject = 'webhooks.' || webhook_name, subject_filter = $3 WHERE webhook_id = $1",
            id, retryDelayMs, (object?)filter ?? DBNull.Value);
        if (settings is not null)
        {
            await ExecuteAsync("SELECT rule_webhook_configure($1, $2::jsonb)", id, settings);
        }

        return new(id, name, (string)(await ScalarAsync("SELECT secret_value FROM rule_webhook_secrets WHERE webhook_id = $1", id))!);
    }

    public Task PublishAsync(string subject, string body, string messageId, params (string Name, string Value)[] headers)
        => PublishAsync(subject, System.Text.Encoding.UTF8.GetBytes(body), messageId, headers);

    public async Task PublishAsync(string subject, byte[] body, string? messageId, params (string Name, string Value)[] headers)
    {
        var natsHeaders = new NatsHeaders();
        foreach (var (name, value) in headers)
        {
            natsHeaders[name] = value;
        }

        var ack = await JetStream.PublishAsync(subject, body, opts: new NatsJSPubOpts { MsgId = messageId }, headers: natsHeaders);
        ack.EnsureSuccess();
    }

    public async Task PublishManyAsync(string subject, int count, string prefix)
    {
        for (var start = 0; start < count; start += 100)
        {
            await Task.WhenAll(Enumerable.Range(start, Math.Min(100, count - start)).Select(number =>
                PublishAsync(subject, string.Create(CultureInfo.InvariantCulture, $$"""{"number":{{number}}}"""), string.Create(CultureInfo.InvariantCulture, $"{prefix}{number}"))));
        }
    }

    public async Task<ConsumerInfo> ConsumerAsync()
        => (await JetStream.GetConsumerAsync(Stream, Consumer)).Info;

    /// <summary>Waits until every message is acknowledged.</summary>
    public Task SettledAsync(long messages, TimeSpan? deadline = null) => Wait.UntilAsync(
        async () =>
        {
            var info = await ConsumerAsync();
            return info is { NumPending: 0, NumAckPending: 0 } && (long)info.AckFloor.StreamSeq >= messages;
        },
        $"all {messages} messages are acknowledged",
        deadline);

    /// <summary>Waits until every message is acknowledged and no call is left to be made.</summary>
    public async Task DrainedAsync(long messages, TimeSpan? deadline = null)
    {
        await SettledAsync(messages, deadline);
        await Wait.UntilAsync(async () => await CountAsync("SELECT count(*) FROM rule_webhook_calls WHERE due_at IS NOT NULL") == 0, "no call is due any more", deadline);
    }

    /// <summary>Stops nats-server when every message is acknowledged and the store knows it.</summary>
    public async Task StopNatsAsync(long messages)
    {
        await SettledAsync(messages);
        await Nats.StopAsync(Stream, Consumer, messages);
    }

    public async Task<object?> ScalarAsync(string sql, params object[] arguments)
    {
        await using var command = Create(sql, arguments);
        return await command.ExecuteScalarAsync();
    }

    public async Task<long> CountAsync(string sql, params object[] arguments) => Convert.ToInt64(await ScalarAsync(sql, arguments), CultureInfo.InvariantCulture);

    public async Task ExecuteAsync(string sql, params object[] arguments)
    {
        await using var command = Create(sql, arguments);
        await command.ExecuteNonQueryAsync();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var worker in _workers)
        {
            await worker.DisposeAsync();
        }

        await _connection.DisposeAsync();
        await Database.DisposeAsync();
        await Receiver.DisposeAsync();
        await Nats.DisposeAsync();
    }

    private NpgsqlCommand Create(string sql, object[] arguments)
    {
        var command = Database.CreateCommand(sql);
        foreach (var argument in arguments)
        {
            command.Parameters.Add(new() { Value = argument });
        }

        return command;
    }
}

internal sealed record Webhook(int Id, string Name, string Secret);
