using System.Text;
using Google.Protobuf;
using Google.Rpc;
using Grpc.Core;
using Grpc.Net.Client;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using Npgsql;
using RuleEngineNats.Contracts.Publishing;
using RuleEngineNats.TestKit;
using Xunit;
using PublishApi = RuleEngineNats.Contracts.Publishing.PublishService;

namespace RuleEngineNats.PublishService.Tests;

/// <summary>PostgreSQL, nats-server and one publish service, all real, for the tests of one class.</summary>
public sealed class PublishFixture : IAsyncLifetime
{
    private int _subjects;

    public NatsServer Nats { get; private set; } = null!;

    public NatsConnection NatsClient { get; private set; } = null!;

    public NpgsqlDataSource Database { get; private set; } = null!;

    public string ConnectionString { get; private set; } = null!;

    public ServiceProcess Service { get; private set; } = null!;

    public GrpcChannel Channel { get; private set; } = null!;

    public PublishApi.PublishServiceClient Client { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        Nats = await NatsServer.StartAsync();
        NatsClient = new NatsConnection(NatsOpts.Default with { Url = Nats.Url });
        await CreateStreamAsync("WEBHOOKS", "webhooks.>", "events.>");
        ConnectionString = await (await PostgresServer.StartAsync()).CreateDatabaseAsync();
        Database = NpgsqlDataSource.Create(ConnectionString);
        Service = await StartServiceAsync();
        Channel = GrpcChannel.ForAddress(Service.GrpcUrl);
        Client = new PublishApi.PublishServiceClient(Channel);
    }

    public async Task DisposeAsync()
    {
        Channel.Dispose();
        await Service.DisposeAsync();
        await NatsClient.DisposeAsync();
        await Database.DisposeAsync();
        await Nats.DisposeAsync();
    }

    public Task<ServiceProcess> StartServiceAsync(Dictionary<string, string?>? settings = null, bool waitUntilReady = true)
    {
        var environment = new Dictionary<string, string?>(settings ?? [])
        {
            ["ConnectionStrings__rules"] = ConnectionString,
            ["ConnectionStrings__nats"] = Nats.Url,
        };
        return ServiceProcess.StartAsync("PublishService", environment, waitUntilReady);
    }

    public async Task CreateStreamAsync(string name, params string[] subjects)
        => await new NatsJSContext(NatsClient).CreateStreamAsync(new StreamConfig(name, subjects)
        {
            Storage = StreamConfigStorage.File,
            Discard = StreamConfigDiscard.New,
            DuplicateWindow = TimeSpan.FromMinutes(2),
            MaxMsgSize = 512 * 1024,
        });

    /// <summary>A subject no other test uses.</summary>
    public string NewSubject() => $"events.test.{Interlocked.Increment(ref _subjects)}";

    /// <summary>A webhook enabled for NATS on a subject of its own.</summary>
    public async Task<(int Id, string Name, string Subject)> NewWebhookAsync(string extra = "", string? subject = null)
    {
        subject ??= NewSubject();
        var name = subject.Replace('.', '_');
        // One transaction: the service must not see the row before the change.
        await using var connection = await Database.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using var command = new NpgsqlCommand(
            "INSERT INTO rule_webhooks (webhook_name, url, nats_enabled, nats_subject, publish_mode) VALUES ($1, 'http://127.0.0.1/x', true, $2, 'nats') RETURNING webhook_id",
            connection);
        command.Parameters.AddWithValue(name);
        command.Parameters.AddWithValue(subject);
        var id = (int)(await command.ExecuteScalarAsync())!;
        if (extra.Length > 0)
        {
            await using var change = new NpgsqlCommand($"UPDATE rule_webhooks SET {extra} WHERE webhook_id = {id}", connection);
            await change.ExecuteNonQueryAsync();
        }

        await transaction.CommitAsync();
        return (id, name, subject);
    }

    public async Task ExecuteAsync(string sql)
    {
        await using var command = Database.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    public async Task<T?> ScalarAsync<T>(string sql, params object[] parameters)
    {
        await using var command = Database.CreateCommand(sql);
        foreach (var parameter in parameters)
        {
            command.Parameters.AddWithValue(parameter);
        }

        return await command.ExecuteScalarAsync() is T value ? value : default;
    }

    /// <summary>Everything the stream has on a subject, in its order.</summary>
    public async Task<IReadOnlyList<INatsJSMsg<byte[]>>> StoredAsync(string subject, string stream = "WEBHOOKS")
    {
        var context = new NatsJSContext(NatsClient);
        var consumer = await context.CreateOrUpdateConsumerAsync(stream, new ConsumerConfig
        {
            Name = $"test-{Guid.NewGuid():N}",
            AckPolicy = ConsumerConfigAckPolicy.None,
            FilterSubject = subject,
            InactiveThreshold = TimeSpan.FromSeconds(30),
        });
        var messages = new List<INatsJSMsg<byte[]>>();
        while ((ulong)messages.Count < consumer.Info.NumPending + consumer.Info.Delivered.ConsumerSeq)
        {
            var expected = (int)Math.Min(consumer.Info.NumPending, 500);
            await foreach (var message in consumer.FetchAsync<byte[]>(new NatsJSFetchOpts { MaxMsgs = Math.Max(expected, 1), Expires = TimeSpan.FromSeconds(10) }))
            {
                messages.Add(message);
            }

            await consumer.RefreshAsync();
            if (consumer.Info.NumPending == 0)
            {
                break;
            }
        }

        return messages;
    }

    public static PublishRequest Event(string subject, string payload = """{"a":1}""", string messageId = "") => new()
    {
        Subject = subject,
        Payload = ByteString.CopyFromUtf8(payload),
        MessageId = messageId,
    };

    public static PublishRequest Event(int webhookId, string payload = """{"a":1}""", string messageId = "") => new()
    {
        WebhookId = webhookId,
        Payload = ByteString.CopyFromUtf8(payload),
        MessageId = messageId,
    };

    /// <summary>Sends a request that must be refused and returns what the refusal says.</summary>
    public async Task<Refusal> RefusedAsync(PublishRequest request)
    {
        var exception = await Assert.ThrowsAsync<RpcException>(async () => await Client.PublishAsync(request, deadline: Deadline()));
        return Refusal.Of(exception);
    }

    // A loaded machine may take its time; the service's own limit is 30 s.
    public static DateTime Deadline() => DateTime.UtcNow.AddSeconds(25);

    public static string Text(INatsJSMsg<byte[]> message) => Encoding.UTF8.GetString(message.Data ?? []);
}

/// <summary>A refusal with its details, as a client in any language reads them.</summary>
public sealed record Refusal(StatusCode Code, string Reason, IReadOnlyList<string> Fields, string Message, IReadOnlyDictionary<string, string> Metadata)
{
    public static Refusal Of(RpcException exception)
    {
        var bytes = exception.Trailers.GetValueBytes("grpc-status-details-bin");
        Assert.True(bytes is not null, $"a refusal without details: {exception}");
        var refusal = Of(Contracts.Rpc.Status.Parser.ParseFrom(bytes));
        Assert.Equal(exception.StatusCode, refusal.Code);
        return refusal;
    }

    public static Refusal Of(Contracts.Rpc.Status status)
    {
        var info = status.Details.Single(detail => detail.Is(ErrorInfo.Descriptor)).Unpack<ErrorInfo>();
        Assert.Equal("ruleengine", info.Domain);
        var fields = status.Details.Where(detail => detail.Is(BadRequest.Descriptor))
            .SelectMany(detail => detail.Unpack<BadRequest>().FieldViolations)
            .Select(violation => violation.Field);
        return new Refusal((StatusCode)status.Code, info.Type, [.. fields], status.Message, info.Metadata);
    }
}
