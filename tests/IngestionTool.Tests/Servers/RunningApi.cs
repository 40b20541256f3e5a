using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using Npgsql;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.IngestionTool.Tests.Servers;

/// <summary>One document of the stream.</summary>
internal sealed record Stored(string MessageId, string Body, string? Entity);

/// <summary>The API as a process with a database and a nats-server of its own; shared by the tests of a collection, which name a source of their own.</summary>
public sealed class RunningApi : IAsyncLifetime
{
    public const string Messages = "MESSAGES";

    /// <summary>An API key with 100 requests a second, so that a load lasts long enough to be interrupted on any machine.</summary>
    public const string SlowKey = "slow";

    private NatsConnection? _connection;

    public NatsServer Nats { get; private set; } = null!;

    public ServiceProcess Api { get; private set; } = null!;

    public NpgsqlDataSource Database { get; private set; } = null!;

    public INatsJSContext JetStream { get; private set; } = null!;

    public string Url => Api.HttpUrl.ToString();

    public static async Task<RunningApi> StartAsync(params (string Name, string Value)[] settings)
    {
        var api = new RunningApi();
        await api.InitializeAsync(settings);
        return api;
    }

    public Task InitializeAsync() => InitializeAsync([]);

    public async Task DisposeAsync()
    {
        await Api.DisposeAsync();
        await _connection!.DisposeAsync();
        await Database.DisposeAsync();
        await Nats.DisposeAsync();
    }

    /// <summary>What the stream has from a source.</summary>
    internal async Task<List<Stored>> StoredAsync(string source)
    {
        var consumer = await JetStream.CreateOrUpdateConsumerAsync(
            Messages,
            new ConsumerConfig($"checker-{Guid.NewGuid():N}") { AckPolicy = ConsumerConfigAckPolicy.None, DeliverPolicy = ConsumerConfigDeliverPolicy.All });
        var (pending, read) = (consumer.Info.NumPending, 0UL);
        var stored = new List<Stored>();
        while (read < pending)
        {
            await foreach (var message in consumer.FetchAsync<byte[]>(new NatsJSFetchOpts { MaxMsgs = 1000 }))
            {
                read++;
                using var envelope = JsonDocument.Parse(message.Data!);
                if (envelope.RootElement.GetProperty("source").GetString() == source)
                {
                    stored.Add(new(
                        envelope.RootElement.GetProperty("message_id").GetString()!,
                        envelope.RootElement.GetProperty("body").GetString()!,
                        envelope.RootElement.GetProperty("entity_type").GetString()));
                }

                if (read == pending)
                {
                    break;
                }
            }
        }

        await JetStream.DeleteConsumerAsync(Messages, consumer.Info.Name);
        return stored;
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

    /// <summary>Writes a dead letter as the worker does, and returns its id.</summary>
    internal async Task<string> DeadLetterAsync(string id, string body, string entity)
    {
        var envelope = JsonSerializer.Serialize(new Dictionary<string, object?>
        {
            ["message_id"] = id,
            ["body"] = body,
            ["entity_type"] = entity,
            ["received_at"] = "2026-11-29T08:00:00Z",
            ["retry_count"] = 0,
            ["source"] = "tests",
        });
        var headers = new NatsHeaders { ["rule-dlq-code"] = "invalid_document", ["rule-dlq-reason"] = "no%20total", ["rule-dlq-message-id"] = id, ["rule-dlq-attempts"] = "1", ["rule-dlq-sequence"] = "1" };
        var ack = await JetStream.PublishAsync($"messages.dlq.{entity}", Encoding.UTF8.GetBytes(envelope), headers: headers);
        await ExecuteAsync(
            """
            INSERT INTO message_status (message_id, received_at, processed_at, status, entity_type, error_code, error_message, dlq_sequence)
            VALUES ($1, now() - interval '1 minute', now(), 'dlq', $2, 'invalid_document', 'no total', $3)
            """,
            Guid.Parse(id), entity, (long)ack.Seq);
        return id;
    }

    private async Task InitializeAsync((string Name, string Value)[] settings)
    {
        var postgres = await PostgresServer.StartAsync();
        var database = await postgres.CreateDatabaseAsync();
        Database = NpgsqlDataSource.Create(database);
        Nats = await NatsServer.StartAsync();
        var environment = new Dictionary<string, string?>
        {
            ["ConnectionStrings__rules"] = database,
            ["ConnectionStrings__nats"] = Nats.Url,
            [$"Ingestion__RequestsPerSecondByKey__{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(SlowKey)))}"] = "100",
        };
        foreach (var (name, value) in settings)
        {
            environment[name] = value;
        }

        Api = await ServiceProcess.StartAsync("IngestionApi", environment);
        _connection = new NatsConnection(new NatsOpts { Url = Nats.Url, Name = "checker" });
        JetStream = new NatsJSContext(_connection);
    }
}

[CollectionDefinition(Name)]
public sealed class SharedApi : ICollectionFixture<RunningApi>
{
    public const string Name = "api";
}
