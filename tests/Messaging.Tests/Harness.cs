using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging.Abstractions;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using Npgsql;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.Messaging.Tests;

/// <summary>The parts of Messaging as the container would join them, against a server of the test's own.</summary>
internal sealed class Harness : IAsyncDisposable
{
    private readonly NpgsqlDataSource _dataSource;

    private Harness(NatsServer server, NpgsqlDataSource dataSource, MessagingOptions options)
    {
        Server = server;
        Options = options;
        _dataSource = dataSource;
        var wrapped = Microsoft.Extensions.Options.Options.Create(options);
        Watcher = new ConfigWatcher(dataSource, new SecretBox(Microsoft.Extensions.Options.Options.Create(new SecretsOptions())), wrapped, TimeProvider.System, NullLogger<ConfigWatcher>.Instance);
        var configuration = new ConfigurationBuilder().AddInMemoryCollection([new("ConnectionStrings:nats", server.Url)]).Build();
        Connections = new NatsConnections(Watcher, configuration, wrapped, TimeProvider.System, NullLoggerFactory.Instance);
        Objects = new PayloadObjects(Connections, wrapped, TimeProvider.System);
        Publisher = new EventPublisher(Connections, Objects, wrapped, TimeProvider.System);
        Client = new NatsConnection(NatsOpts.Default with { Url = server.Url });
    }

    public NatsServer Server { get; }

    public MessagingOptions Options { get; }

    public ConfigWatcher Watcher { get; }

    public NatsConnections Connections { get; }

    public PayloadObjects Objects { get; }

    public EventPublisher Publisher { get; }

    public NatsConnection Client { get; }

    public NatsConnectionPool Pool => Connections.Get("default");

    public NatsJSContext JetStream => new(Client);

    public static async Task<Harness> StartAsync(MessagingOptions? options = null, NatsServerOptions? server = null, string? database = null)
        => new(
            await NatsServer.StartAsync(server),
            NpgsqlDataSource.Create(database ?? "Host=127.0.0.1;Port=1;Timeout=1"),
            options ?? new MessagingOptions());

    public async Task<Harness> WithStreamAsync(Func<StreamConfig, StreamConfig>? change = null)
    {
        var config = new StreamConfig("EVENTS", ["ev.>"]) { Discard = StreamConfigDiscard.New };
        await JetStream.CreateStreamAsync(change?.Invoke(config) ?? config);
        return this;
    }

    public async Task<long> CountAsync(string stream = "EVENTS")
        => (long)(await JetStream.GetStreamAsync(stream)).Info.State.Messages;

    public static EventMessage Event(string id, string body = "1", string subject = "ev.a", string stream = "EVENTS")
        => new(subject, System.Text.Encoding.UTF8.GetBytes(body), id, stream);

    public async ValueTask DisposeAsync()
    {
        Objects.Dispose();
        await Connections.DisposeAsync();
        await Client.DisposeAsync();
        await _dataSource.DisposeAsync();
        await Server.DisposeAsync();
    }
}
