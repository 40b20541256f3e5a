using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using Npgsql;
using RuleEngineNats.Contracts;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.IngestionApi.Tests;

/// <summary>The API as a process, with a database and a nats-server of its own.</summary>
public sealed class IngestionService : IAsyncDisposable
{
    private readonly List<IAsyncDisposable> _owned = [];

    private IngestionService()
    {
    }

    public ServiceProcess Process { get; private set; } = null!;

    public NatsServer Nats { get; private set; } = null!;

    public string Database { get; private set; } = null!;

    public NpgsqlDataSource Rules { get; private set; } = null!;

    public NatsJSContext JetStream { get; private set; } = null!;

    public HttpClient Http { get; private set; } = null!;

    /// <param name="nats">The server; null for one of its own.</param>
    /// <param name="natsUrl">Where the API finds it; null for the server itself.</param>
    /// <param name="settings">Further configuration.</param>
    /// <param name="database">The database; null for one of its own.</param>
    public static async Task<IngestionService> StartAsync(
        Dictionary<string, string?>? settings = null, NatsServer? nats = null, string? natsUrl = null, string? database = null, bool waitUntilReady = true)
    {
        var service = new IngestionService();
        try
        {
            service.Nats = nats ?? service.Own(await NatsServer.StartAsync());
            service.Database = database ?? await (await PostgresServer.StartAsync()).CreateDatabaseAsync();
            service.Rules = service.Own(NpgsqlDataSource.Create(service.Database));
            service.JetStream = new NatsJSContext(service.Own(new NatsConnection(NatsOpts.Default with { Url = service.Nats.Url })));
            service.Process = service.Own(await ServiceProcess.StartAsync("IngestionApi", Settings(service.Database, natsUrl ?? service.Nats.Url, settings), waitUntilReady));
            service.Http = new HttpClient { BaseAddress = service.Process.HttpUrl };
            return service;
        }
        catch
        {
            await service.DisposeAsync();
            throw;
        }
    }

    public static Dictionary<string, string?> Settings(string database, string nats, Dictionary<string, string?>? further = null)
    {
        var settings = new Dictionary<string, string?>
        {
            ["ConnectionStrings__rules"] = database,
            ["ConnectionStrings__nats"] = nats,
            ["Messaging__InitialConnections"] = "1",
        };
        foreach (var (name, value) in further ?? [])
        {
            settings[name] = value;
        }

        return settings;
    }

    public Task<Answer> GetAsync(string path) => SendAsync(new(HttpMethod.Get, path));

    public Task<Answer> PostAsync(string path, string body, string? contentType = "application/json", params (string Name, string Value)[] headers)
        => PostAsync(path, Encoding.UTF8.GetBytes(body), contentType, headers);

    public Task<Answer> PostAsync(string path, byte[] body, string? contentType = "application/json", params (string Name, string Value)[] headers)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new ByteArrayContent(body) };
        if (contentType is not null)
        {
            request.Content.Headers.TryAddWithoutValidation("Content-Type", contentType);
        }

        foreach (var (name, value) in headers)
        {
            if (!request.Headers.TryAddWithoutValidation(name, value))
            {
                request.Content.Headers.TryAddWithoutValidation(name, value);
            }
        }

        return SendAsync(request);
    }

    public async Task<Answer> SendAsync(HttpRequestMessage request)
    {
        using (request)
        {
            using var response = await Http.SendAsync(request);
            return await Answer.OfAsync(response);
        }
    }

    /// <summary>Everything in the stream, in its order.</summary>
    public async Task<List<Stored>> StoredAsync(string stream = StreamNames.Messages)
    {
        var consumer = await JetStream.CreateOrUpdateConsumerAsync(
            stream, new ConsumerConfig($"checker-{Guid.NewGuid():N}") { AckPolicy = ConsumerConfigAckPolicy.None, DeliverPolicy = ConsumerConfigDeliverPolicy.All });
        var found = new List<Stored>();
        var count = consumer.Info.NumPending;
        while ((ulong)found.Count < count)
        {
            await foreach (var message in consumer.FetchAsync<byte[]>(new NatsJSFetchOpts { MaxMsgs = 500 }))
            {
                found.Add(new(message.Subject, message.Headers?[EventHeaders.MessageId].ToString() ?? "", message.Data ?? []));
                if ((ulong)found.Count == count)
                {
                    break;
                }
            }
        }

        await JetStream.DeleteConsumerAsync(stream, consumer.Info.Name);
        return found;
    }

    public async Task<List<IngestEnvelope>> EnvelopesAsync() => (await StoredAsync()).ConvertAll(message =>
    {
        Assert.True(IngestEnvelope.TryRead(message.Data, out var envelope, out var problem), problem);
        return envelope!;
    });

    public async Task<T> ScalarAsync<T>(string sql, params object[] parameters)
    {
        await using var command = Rules.CreateCommand(sql);
        foreach (var parameter in parameters)
        {
            command.Parameters.Add(new NpgsqlParameter { Value = parameter });
        }

        return (T)(await command.ExecuteScalarAsync())!;
    }

    public async Task ExecuteAsync(string sql, params object[] parameters)
    {
        await using var command = Rules.CreateCommand(sql);
        foreach (var parameter in parameters)
        {
            command.Parameters.Add(new NpgsqlParameter { Value = parameter });
        }

        await command.ExecuteNonQueryAsync();
    }

    public async ValueTask DisposeAsync()
    {
        Http?.Dispose();
        foreach (var owned in Enumerable.Reverse(_owned))
        {
            await owned.DisposeAsync();
        }
    }

    private T Own<T>(T owned)
        where T : IAsyncDisposable
    {
        _owned.Add(owned);
        return owned;
    }
}

/// <summary>A message of a stream.</summary>
public sealed record Stored(string Subject, string MessageId, byte[] Data);

/// <summary>An HTTP answer and its JSON.</summary>
public sealed record Answer(int Status, string? MediaType, string Body, HttpResponseHeaders Headers)
{
    private readonly Lazy<JsonNode> _json = new(() => JsonNode.Parse(Body)!);
    private readonly Lazy<JsonNode[]> _lines = new(() => [.. Body.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonNode.Parse(line)!)]);

    public JsonNode Json => _json.Value;

    /// <summary>Its lines, where it is NDJSON.</summary>
    public JsonNode[] Lines => _lines.Value;

    /// <summary>The verdicts of a batch.</summary>
    public JsonNode[] Results => [.. Json["results"]!.AsArray()!];

    public int? RetryAfter => Headers.RetryAfter?.Delta is { } delta ? (int)delta.TotalSeconds : null;

    public static async Task<Answer> OfAsync(HttpResponseMessage response)
        => new((int)response.StatusCode, response.Content.Headers.ContentType?.MediaType, await response.Content.ReadAsStringAsync(), response.Headers);

    public string Text(string field) => Json[field]!.GetValue<string>();

    public int Number(string field) => Json[field]!.GetValue<int>();

    public string? Header(string name) => Headers.TryGetValues(name, out var values) ? string.Join(',', values) : null;

    public Answer Is(int status)
    {
        Assert.True(Status == status, string.Create(CultureInfo.InvariantCulture, $"{Status} instead of {status}: {Body}"));
        return this;
    }

    /// <summary>Asserts that this is a problem with this status, code and field, complete in form.</summary>
    public Answer IsProblem(int status, string code, string? field = null)
    {
        Is(status);
        Assert.Equal("application/problem+json", MediaType);
        Assert.Equal(code, Text("code"));
        Assert.Equal($"urn:rule-engine-nats:problem:{code}", Text("type"));
        Assert.Equal(status, Number("status"));
        foreach (var text in (string[])["title", "detail", "fix", "error"])
        {
            Assert.NotEmpty(Text(text));
        }

        Assert.DoesNotContain("   at ", Body, StringComparison.Ordinal);
        Assert.Equal(status is 429 or 503, RetryAfter is >= 1 and <= 60);
        var errors = Json["errors"]!.AsArray();
        Assert.Equal(field is null, errors.Count == 0);
        Assert.All(errors, error => Assert.NotEmpty(error!["fix"]!.GetValue<string>()));
        if (field is not null)
        {
            Assert.Contains(field, errors.Select(error => error!["field"]!.GetValue<string>()));
        }

        return this;
    }
}
