using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Npgsql;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.ConfigService.Tests;

/// <summary>The service as a process with a database and a nats-server of its own; shared by the tests of a collection, which use names of their own.</summary>
public sealed class RunningService : IAsyncLifetime
{
    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(60) };
    private ServiceProcess? _service;

    public NatsServer Nats { get; private set; } = null!;

    public NpgsqlDataSource Rules { get; private set; } = null!;

    public ServiceProcess Service => _service!;

    public string Database { get; private set; } = null!;

    public Task InitializeAsync() => InitializeAsync([]);

    /// <param name="further">Environment variables besides.</param>
    public async Task InitializeAsync(IEnumerable<(string Name, string Value)> further)
    {
        var postgres = await PostgresServer.StartAsync();
        Database = await postgres.CreateDatabaseAsync();
        Rules = NpgsqlDataSource.Create(Database);
        Nats = await NatsServer.StartAsync();
        var settings = Settings(Database, Nats.Url);
        // No timer helps these tests: what happens soon happens because somebody was notified.
        settings["ConfigService__ProvisionEvery"] = "00:30:00";
        settings["Messaging__ConfigRefresh"] = "00:30:00";
        foreach (var (name, value) in further)
        {
            settings[name] = value;
        }

        _service = await ServiceProcess.StartAsync("ConfigService", settings);
        _http.BaseAddress = _service.HttpUrl;
    }

    public async Task DisposeAsync()
    {
        if (_service is not null)
        {
            await _service.DisposeAsync();
        }

        await Rules.DisposeAsync();
        await Nats.DisposeAsync();
        _http.Dispose();
    }

    public static Dictionary<string, string?> Settings(string database, string nats) => new()
    {
        ["ConnectionStrings__rules"] = database,
        ["ConnectionStrings__nats"] = nats,
    };

    /// <summary>A name that no other test uses.</summary>
    public static string Unique(string prefix) => $"{prefix}_{Guid.NewGuid():N}";

    public Task<Answer> GetAsync(string path) => SendAsync(HttpMethod.Get, path, null);

    public Task<Answer> PostAsync(string path, string? json) => SendAsync(HttpMethod.Post, path, json);

    public Task<Answer> PutAsync(string path, string json) => SendAsync(HttpMethod.Put, path, json);

    public Task<Answer> PatchAsync(string path, string json) => SendAsync(HttpMethod.Patch, path, json);

    public Task<Answer> DeleteAsync(string path) => SendAsync(HttpMethod.Delete, path, null);

    public Task<Answer> SendAsync(HttpMethod method, string path, string? json)
        => SendContentAsync(method, path, json is null ? null : new StringContent(json, Encoding.UTF8, "application/json"));

    public Task<Answer> SendAsync(HttpMethod method, string path, byte[] body, string contentType)
    {
        var content = new ByteArrayContent(body);
        content.Headers.ContentType = MediaTypeHeaderValue.Parse(contentType);
        return SendContentAsync(method, path, content);
    }

    public async Task<Answer> SendContentAsync(HttpMethod method, string path, HttpContent? content)
    {
        using var request = new HttpRequestMessage(method, path) { Content = content };
        using var response = await _http.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        return new Answer(
            response.StatusCode,
            response.Content.Headers.ContentType?.MediaType,
            text,
            response.Headers.Location?.OriginalString,
            response.Headers.CacheControl?.NoStore == true);
    }

    /// <summary>Registers a webhook and returns its id, name and signing secret.</summary>
    public async Task<(int Id, string Name, string Secret)> RegisterAsync()
    {
        var name = Unique("hook");
        var answer = await PostAsync("/api/v1/webhooks", $$"""{"name":"{{name}}","url":"https://example.com/{{name}}"}""");
        Assert.Equal(HttpStatusCode.Created, answer.Status);
        return (answer.Number("id"), name, answer.Text("signingSecret"));
    }

    /// <summary>Calls of a webhook that were given up in January 2030, with one attempt on record each.</summary>
    public async Task<long[]> FailAsync(int webhookId, int count)
        => await ScalarAsync<long[]>("""
            WITH failed AS (
                INSERT INTO rule_webhook_calls (webhook_id, payload, subject, status, attempts, response_status, error_message, completed_at)
                SELECT $1, jsonb_build_object('n', n), 'events.a', 'failed', 3, 500, 'Max retries exceeded: HTTP 500', '2030-01-01T12:00:00Z' FROM generate_series(1, $2) n
                RETURNING call_id, event_id),
            attempt AS (
                INSERT INTO rule_webhook_call_history (call_id, event_id, webhook_id, attempt_number, outcome, response_status)
                SELECT call_id, event_id, $1, 3, 'failed', 500 FROM failed)
            SELECT array_agg(call_id ORDER BY call_id) FROM failed
            """, webhookId, count);

    public async Task<T> ScalarAsync<T>(string sql, params object[] parameters)
    {
        await using var command = Rules.CreateCommand(sql);
        foreach (var parameter in parameters)
        {
            command.Parameters.Add(new NpgsqlParameter { Value = parameter });
        }

        return (T)(await command.ExecuteScalarAsync())!;
    }

    public async Task ExecuteAsync(string sql)
    {
        await using var command = Rules.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }
}

/// <summary>An HTTP answer and its JSON.</summary>
public sealed record Answer(HttpStatusCode Status, string? MediaType, string Body, string? Location, bool NotToBeStored)
{
    public JsonNode Json => JsonNode.Parse(Body)!;

    public string Code => Text("code");

    public string Text(string field) => Json[field]!.GetValue<string>();

    public int Number(string field) => Json[field]!.GetValue<int>();

    /// <summary>Asserts that this is a problem with this status and code, complete in form.</summary>
    public Answer IsProblem(int status, string code)
    {
        Assert.True((int)Status == status, $"{(int)Status} instead of {status}: {Body}");
        Assert.Equal("application/problem+json", MediaType);
        Assert.Equal(code, Code);
        Assert.Equal($"urn:rule-engine-nats:problem:{code}", Text("type"));
        Assert.Equal(status, Number("status"));
        Assert.NotEmpty(Text("title"));
        Assert.NotEmpty(Text("detail"));
        Assert.DoesNotContain("   at ", Body, StringComparison.Ordinal);
        return this;
    }

    /// <summary>The problems by field; each must have a code, a message and a fix.</summary>
    public Dictionary<string, (string Code, string Message, double? Limit)> Errors()
        => Json["errors"]!.AsArray().ToDictionary(
            error => error!["field"]!.GetValue<string>(),
            error =>
            {
                Assert.NotEmpty(error!["fix"]!.GetValue<string>());
                return (error["code"]!.GetValue<string>(), error["message"]!.GetValue<string>(), error["limit"]?.GetValue<double>());
            });
}

[CollectionDefinition(nameof(RunningService))]
public sealed class RunningServiceCollection : ICollectionFixture<RunningService>;
