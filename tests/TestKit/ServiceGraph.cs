using Npgsql;

namespace RuleEngineNats.TestKit;

/// <summary>A webhook whose endpoint is a path of the graph's receiver.</summary>
public sealed record GraphWebhook(int Id, string Path, string Subject, string Secret);

/// <summary>The services of the data path as processes, against one database and one nats-server of their own, ready to be killed.</summary>
public sealed class ServiceGraph : IAsyncDisposable
{
    private int _webhooks;

    private ServiceGraph(
        string connectionString, NatsServer nats, WebhookReceiver receiver, ServiceProcess config, ServiceProcess publish, ServiceProcess relay,
        ServiceProcess[] workers)
    {
        (ConnectionString, Nats, Receiver, Config, Publish, Relay, Workers) = (connectionString, nats, receiver, config, publish, relay, workers);
        Database = NpgsqlDataSource.Create(connectionString);
    }

    public string ConnectionString { get; }

    /// <summary>The database for psql.</summary>
    public string Uri
    {
        get
        {
            var parts = new NpgsqlConnectionStringBuilder(ConnectionString);
            return $"postgresql://{parts.Username}@{parts.Host}:{parts.Port}/{parts.Database}";
        }
    }

    public NpgsqlDataSource Database { get; }

    public NatsServer Nats { get; }

    public WebhookReceiver Receiver { get; }

    public ServiceProcess Config { get; }

    public ServiceProcess Publish { get; }

    public ServiceProcess Relay { get; }

    public IReadOnlyList<ServiceProcess> Workers { get; }

    /// <param name="workers">Delivery workers.</param>
    /// <param name="settings">Further environment variables of all services.</param>
    /// <param name="natsOptions">How nats-server is started.</param>
    /// <param name="cancellationToken">Cancels.</param>
    public static async Task<ServiceGraph> StartAsync(
        int workers = 1, IReadOnlyDictionary<string, string?>? settings = null, NatsServerOptions? natsOptions = null, CancellationToken cancellationToken = default)
    {
        var postgres = await PostgresServer.StartAsync(cancellationToken);
        var connectionString = await postgres.CreateDatabaseAsync(cancellationToken);
        var nats = await NatsServer.StartAsync(natsOptions, cancellationToken);
        var receiver = await WebhookReceiver.StartAsync(cancellationToken);
        var environment = new Dictionary<string, string?>
        {
            ["ConnectionStrings__rules"] = connectionString,
            ["ConnectionStrings__nats"] = nats.Url,
            // Slots belong to the server, which the graphs of this process share.
            ["Relay__SlotName"] = new NpgsqlConnectionStringBuilder(connectionString).Database,
            // What a killed worker had in hand comes back within seconds instead of a minute.
            ["Delivery__AckWait"] = "00:00:05",
            ["Delivery__ProgressEvery"] = "00:00:01",
            ["Delivery__MaxTimeout"] = "00:00:05",
            ["Delivery__Lease"] = "00:00:08",
        };

        foreach (var (name, value) in settings ?? new Dictionary<string, string?>())
        {
            environment[name] = value;
        }

        // ConfigService first: it creates the stream that the others need.
        var config = await ServiceProcess.StartAsync("ConfigService", environment, cancellationToken: cancellationToken);
        string[] names = ["PublishService", "CdcRelay", .. Enumerable.Repeat("DeliveryWorker", workers)];
        var rest = await Task.WhenAll(names.Select(name => ServiceProcess.StartAsync(name, environment, cancellationToken: cancellationToken)));
        return new(connectionString, nats, receiver, config, rest[0], rest[1], rest[2..]);
    }

    /// <summary>Registers a webhook of its own subject; the name is unique in the graph.</summary>
    public Task<GraphWebhook> RegisterAsync(string name, string mode = "nats", CancellationToken cancellationToken = default)
        => RegisterAsync(name, $"webhooks.{name}.{Interlocked.Increment(ref _webhooks)}", mode, cancellationToken);

    public async Task<GraphWebhook> RegisterAsync(string name, string subject, string mode, CancellationToken cancellationToken)
    {
        var path = $"/{subject}/{name}";
        // In one transaction: after it the secret may be encrypted, and SQL cannot read it any more.
        await using var connection = await Database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var id = await ScalarAsync<int>(
            connection, "SELECT rule_webhook_register(p_name => $1, p_url => $2)", [$"{name} of {subject}", Receiver.Url(path)], cancellationToken);
        await ScalarAsync<bool>(connection, "SELECT rule_webhook_enable_nats($1, $2, $3)", [id, subject, mode], cancellationToken);
        var secret = await ScalarAsync<string>(connection, "SELECT rule_webhook_secret_get($1, 'signing')", [id], cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return new(id, path, subject, secret);
    }

    public async Task<T> ScalarAsync<T>(string sql, object?[] parameters, CancellationToken cancellationToken = default)
    {
        await using var connection = await Database.OpenConnectionAsync(cancellationToken);
        return await ScalarAsync<T>(connection, sql, parameters, cancellationToken);
    }

    private static async Task<T> ScalarAsync<T>(NpgsqlConnection connection, string sql, object?[] parameters, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        foreach (var parameter in parameters)
        {
            command.Parameters.Add(new() { Value = parameter ?? DBNull.Value });
        }

        return (T)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>What the services wrote, for the message of a failed test.</summary>
    public string Output => string.Join("\n\n", new[] { Config, Publish, Relay }.Concat(Workers).Select(service => $"== {service.Name}\n{Tail(service.Output)}"));

    public async ValueTask DisposeAsync()
    {
        foreach (var service in Workers.Concat([Relay, Publish, Config]))
        {
            await service.DisposeAsync();
        }

        await Receiver.DisposeAsync();
        await Nats.DisposeAsync();
        await Database.DisposeAsync();
    }

    private static string Tail(string output) => string.Join('\n', output.Split('\n').TakeLast(40));
}
