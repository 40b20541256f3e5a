using System.Buffers;
using System.Globalization;
using System.Text;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using Npgsql;
using RuleEngineNats.Contracts;
using RuleEngineNats.Messaging;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.IngestionWorker.Tests;

/// <summary>A nats-server with the streams of ingestion, a database, and workers between them, all real and a test's own.</summary>
internal sealed class Ingestion : IAsyncDisposable
{
    private readonly List<ServiceProcess> _workers = [];
    private readonly NatsConnection _client;
    private readonly TemporaryFolder _entities;

    private Ingestion(NatsServer nats, string connectionString, TemporaryFolder entities)
    {
        (Nats, ConnectionString, _entities) = (nats, connectionString, entities);
        Database = NpgsqlDataSource.Create(connectionString);
        // The driver would let 2 s pass before its second attempt.
        _client = new(new NatsOpts { Url = nats.Url, ReconnectWaitMin = TimeSpan.FromMilliseconds(100), ReconnectWaitMax = TimeSpan.FromMilliseconds(500) });
        JetStream = new(_client);
    }

    public NatsServer Nats { get; }

    public string ConnectionString { get; }

    public NpgsqlDataSource Database { get; }

    public NatsJSContext JetStream { get; }

    /// <summary>The folder of the definitions: those of the TPC-H example, until a test writes others.</summary>
    public string Entities => _entities.Path;

    /// <param name="postgres">A server of the test's own; the shared one by default.</param>
    /// <param name="streams">Limits of the streams.</param>
    public static async Task<Ingestion> StartAsync(PostgresServer? postgres = null, IngestStreamOptions? streams = null, bool withEntities = true)
    {
        postgres ??= await PostgresServer.StartAsync();
        var entities = TemporaryFolder.Create("entities-");
        if (withEntities)
        {
            foreach (var file in Directory.GetFiles(Repository.Path("examples", "entities", "tpch"), "*.yaml"))
            {
                File.Copy(file, Path.Combine(entities.Path, Path.GetFileName(file)));
            }
        }

        var ingestion = new Ingestion(await NatsServer.StartAsync(), await postgres.CreateDatabaseAsync(), entities);
        foreach (var definition in IngestStreams.Of(streams ?? new()))
        {
            await ingestion.JetStream.CreateStreamAsync(new StreamConfig(definition.Name, [.. definition.Subjects])
            {
                Storage = StreamConfigStorage.File,
                Discard = StreamConfigDiscard.New,
                MaxBytes = definition.MaxBytes,
                MaxAge = definition.MaxAge,
                DuplicateWindow = definition.DuplicateWindow,
            });
        }

        return ingestion;
    }

    public async Task<ServiceProcess> StartWorkerAsync(bool waitUntilReady = true, params (string Key, string Value)[] settings)
    {
        var environment = new Dictionary<string, string?>
        {
            ["ConnectionStrings__rules"] = ConnectionString,
            ["ConnectionStrings__nats"] = Nats.Url,
            ["Ingestion__Entities__Folder"] = Entities,
            ["Ingestion__Entities__PollInterval"] = "00:00:00.100",
        };
        foreach (var (key, value) in settings)
        {
            environment[key] = value;
        }

        var worker = await ServiceProcess.StartAsync("IngestionWorker", environment, waitUntilReady);
        _workers.Add(worker);
        return worker;
    }

    /// <summary>Publishes a document as the API does.</summary>
    public async Task<Guid> SendAsync(string document, string? entity = null, Guid? id = null, DateTimeOffset? receivedAt = null)
    {
        var envelope = new IngestEnvelope(
            id ?? IngestMessageId.New(TimeProvider.System.GetUtcNow()), Encoding.UTF8.GetBytes(document), entity, receivedAt ?? TimeProvider.System.GetUtcNow(), 0, "tests");
        await SendAsync(envelope);
        return envelope.MessageId;
    }

    public async Task SendAsync(IngestEnvelope envelope)
    {
        var message = new ArrayBufferWriter<byte>();
        envelope.WriteTo(message);
        await SendRawAsync(message.WrittenMemory.ToArray(), $"messages.ingest.{envelope.EntityType ?? "default"}");
    }

    /// <summary>Publishes what may be no envelope at all.</summary>
    public async Task<ulong> SendRawAsync(byte[] message, string subject = "messages.ingest.default")
    {
        var ack = await JetStream.PublishAsync(subject, message);
        ack.EnsureSuccess();
        return ack.Seq;
    }

    /// <summary>Sends many, without waiting for each; returns their ids in order.</summary>
    public async Task<Guid[]> SendManyAsync(IEnumerable<string> documents)
    {
        List<Guid> ids = [];
        foreach (var part in documents.Chunk(500))
        {
            ids.AddRange(await Task.WhenAll(part.Select(document => SendAsync(document))));
        }

        return [.. ids];
    }

    /// <summary>Where a document is, as "status code retries".</summary>
    public async Task<string?> StatusAsync(Guid id)
    {
        await using var command = Database.CreateCommand("SELECT concat_ws(' ', status, error_code, retry_count) FROM message_status WHERE message_id = $1");
        command.Parameters.Add(new() { Value = id });
        return (string?)await command.ExecuteScalarAsync();
    }

    public async Task HasStatusAsync(Guid id, string status)
    {
        string? last = null;
        try
        {
            await Wait.UntilAsync(async () => (last = await StatusAsync(id)) == status, $"{id} is {status}");
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{e.Message}; it is {last}; {string.Join('\n', _workers.Select(worker => worker.Output))}", e);
        }
    }

    public async Task<ConsumerInfo> ConsumerAsync() => (await JetStream.GetConsumerAsync("MESSAGES", "ingestion-worker")).Info;

    /// <summary>Waits until the server has nothing more for the workers, neither new nor in work.</summary>
    public async Task SettledAsync(TimeSpan? deadline = null)
    {
        ConsumerInfo? last = null;
        try
        {
            await Wait.UntilAsync(async () => (last = await ConsumerAsync()) is { NumPending: 0, NumAckPending: 0 }, "everything is settled", deadline);
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{e.Message}; pending {last?.NumPending}, unacknowledged {last?.NumAckPending}; {string.Join('\n', _workers.Select(worker => worker.Output))}", e);
        }
    }

    /// <summary>All dead letters, in their order.</summary>
    public Task<List<StoredMessage>> DeadLettersAsync() => MessagesAsync("MESSAGESDLQ");

    public async Task<List<StoredMessage>> MessagesAsync(string name)
    {
        var stream = await JetStream.GetStreamAsync(name);
        List<StoredMessage> messages = [];
        if (stream.Info.State.Messages > 0)
        {
            var consumer = await JetStream.CreateOrderedConsumerAsync(name);
            await foreach (var message in consumer.FetchAsync<byte[]>(new NatsJSFetchOpts { MaxMsgs = (int)stream.Info.State.Messages }))
            {
                messages.Add(new(message.Subject, message.Data ?? [], message.Headers ?? [], (long)message.Metadata!.Value.Sequence.Stream));
            }
        }

        return messages;
    }

    public async Task<T> ScalarAsync<T>(string sql)
    {
        await using var command = Database.CreateCommand(sql);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    public Task<long> CountAsync(string table, string where = "true") => ScalarAsync<long>(string.Create(CultureInfo.InvariantCulture, $"SELECT count(*) FROM {table} WHERE {where}"));

    public async Task ExecuteAsync(string sql)
    {
        await using var command = Database.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var worker in _workers)
        {
            await worker.DisposeAsync();
        }

        await _client.DisposeAsync();
        await Database.DisposeAsync();
        await Nats.DisposeAsync();
        await _entities.DisposeAsync();
    }
}

/// <summary>A message as it is in a stream.</summary>
internal sealed record StoredMessage(string Subject, byte[] Body, NatsHeaders Headers, long Sequence);
