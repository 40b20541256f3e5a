using System.Globalization;
using System.Text;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using Npgsql;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.Consumers.Tests;

/// <summary>A nats-server with the stream WEBHOOKS and a database that says so, both real and a test's own.</summary>
internal sealed class Stream : IAsyncDisposable
{
    public const string Name = "WEBHOOKS";

    private readonly NatsConnection _connection;

    private Stream(NatsServer nats, string connectionString)
    {
        (Nats, ConnectionString) = (nats, connectionString);
        Database = NpgsqlDataSource.Create(connectionString);
        _connection = new NatsConnection(new NatsOpts { Url = nats.Url });
        JetStream = new NatsJSContext(_connection);
    }

    public NatsServer Nats { get; }

    public string ConnectionString { get; }

    public NpgsqlDataSource Database { get; }

    public NatsJSContext JetStream { get; }

    public static async Task<Stream> StartAsync()
    {
        var stream = new Stream(await NatsServer.StartAsync(), await (await PostgresServer.StartAsync()).CreateDatabaseAsync());
        await stream.JetStream.CreateStreamAsync(new StreamConfig(Name, ["webhooks.>", "events.>"]));
        return stream;
    }

    public Task PublishAsync(string subject, string body, string id, params (string Name, string Value)[] headers)
        => PublishAsync(subject, Encoding.UTF8.GetBytes(body), id, headers);

    public async Task PublishAsync(string subject, byte[] body, string id, params (string Name, string Value)[] headers)
    {
        var natsHeaders = new NatsHeaders();
        foreach (var (name, value) in headers)
        {
            natsHeaders[name] = value;
        }

        (await JetStream.PublishAsync(subject, body, opts: new NatsJSPubOpts { MsgId = id }, headers: natsHeaders)).EnsureSuccess();
    }

    public async Task PublishManyAsync(string subject, int count)
    {
        for (var number = 0; number < count; number++)
        {
            var id = number.ToString(CultureInfo.InvariantCulture);
            await PublishAsync(subject, $$"""{"order": "{{id}}"}""", id);
        }
    }

    public async Task<ConsumerInfo> ConsumerAsync(string name) => (await JetStream.GetConsumerAsync(Name, name)).Info;

    /// <summary>Waits until the server has nothing more for the consumer, neither new nor in work.</summary>
    public Task SettledAsync(string name) => Wait.UntilAsync(
        async () => await ConsumerAsync(name) is { NumPending: 0, NumAckPending: 0 }, $"everything is settled for {name}");

    public async Task<T> ScalarAsync<T>(string sql)
    {
        await using var command = Database.CreateCommand(sql);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    public async Task ExecuteAsync(string sql)
    {
        await using var command = Database.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _connection.DisposeAsync();
        await Database.DisposeAsync();
        await Nats.DisposeAsync();
    }
}
