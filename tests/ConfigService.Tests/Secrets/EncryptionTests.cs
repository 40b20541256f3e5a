using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Options;
using Npgsql;
using RuleEngineNats.Messaging;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.ConfigService.Tests.Secrets;

/// <summary>The service with keys, and a database of its own.</summary>
[Trait("Category", "Servers")]
public sealed class EncryptionTests : IAsyncLifetime
{
    private const string Canary = "CANARY";
    private const string Signing = "whsec_CANARYCANARYCANARYCANARYCANARYCANARYCANARYCA";
    private const string Seed = "SUCANARYAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(2);
    private static readonly string One = Convert.ToBase64String([.. Enumerable.Repeat((byte)1, 32)]);
    private static readonly string Two = Convert.ToBase64String([.. Enumerable.Repeat((byte)2, 32)]);

    private string _database = null!;
    private NpgsqlDataSource _rules = null!;
    private NatsServer _nats = null!;

    public async Task InitializeAsync()
    {
        _database = await (await PostgresServer.StartAsync()).CreateDatabaseAsync();
        _rules = NpgsqlDataSource.Create(_database);
        _nats = await NatsServer.StartAsync();
    }

    public async Task DisposeAsync()
    {
        await _rules.DisposeAsync();
        await _nats.DisposeAsync();
    }

    [Fact]
    public async Task What_SQL_stores_is_ciphertext_within_two_seconds_and_under_the_newest_key_after_a_change_of_keys()
    {
        // Of before the first key.
        await ExecuteAsync($"SELECT rule_webhook_register('one', 'https://example.com/'), rule_webhook_secret_set(1, 'signing', '{Signing}')");
        await using (await StartAsync("one", ("one", One)))
        {
            await EncryptedAsync("one", 1);
            await ExecuteAsync($"SELECT rule_webhook_secret_set(1, 'api', '{Canary}-api')");
            await ExecuteAsync($"SELECT rule_nats_configure('eu', 'nats://nats.invalid', 'token', p_auth_token => '{Canary}-token', p_auth_nkey_seed => '{Seed}', p_enabled => false)");
            var version = await ScalarAsync<DateTime>("SELECT updated_at FROM rule_nats_config WHERE config_name = 'eu'");
            await EncryptedAsync("one", 4);
            Assert.DoesNotContain(Canary, await DumpAsync(), StringComparison.OrdinalIgnoreCase);
            Assert.Equal(version, await ScalarAsync<DateTime>("SELECT updated_at FROM rule_nats_config WHERE config_name = 'eu'"));

            var refusal = await Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync("SELECT rule_webhook_secret_get(1, 'signing')"));
            Assert.Equal(("55000", "secret signing of webhook 1 is encrypted under key one"), (refusal.SqlState, refusal.MessageText));
            Assert.Contains("rule_webhook_secret_set", refusal.Hint, StringComparison.Ordinal);
            Assert.Equal($"{Canary}-2", await ScalarAsync<string>($"""
                BEGIN; SELECT rule_webhook_secret_set(1, 'api', '{Canary}-2'); SELECT rule_webhook_secret_get(1, 'api'); ROLLBACK
                """, result: 1));

            // A plain UPDATE knows of no key.
            await ExecuteAsync($"UPDATE rule_webhook_secrets SET secret_value = '{Canary}-3' WHERE secret_name = 'api'; UPDATE rule_nats_config SET auth_token = '{Canary}-4' WHERE config_name = 'eu'");
            await EncryptedAsync("one", 4);
        }

        var box = Box("two", ("one", One), ("two", Two));
        await using (await StartAsync("two", ("one", One), ("two", Two)))
        {
            await EncryptedAsync("two", 4);
        }

        Assert.DoesNotContain(Canary, await DumpAsync(), StringComparison.OrdinalIgnoreCase);
        Assert.Equal(Signing, await ReadAsync(box, "signing"));
        Assert.Equal($"{Canary}-3", await ReadAsync(box, "api"));
        var token = await ScalarAsync<string>("SELECT auth_token FROM rule_nats_config WHERE config_name = 'eu'");
        var config = await ScalarAsync<int>("SELECT config_id FROM rule_nats_config WHERE config_name = 'eu'");
        Assert.Equal(($"{Canary}-4", null), box.Decrypt(SecretPlace.OfConfig(config, "auth_token"), "two", token));

        // The key is gone: that is said, and nothing is destroyed.
        var stored = await DumpAsync();
        await using var service = await StartAsync("one", ("one", One));
        await Wait.UntilAsync(
            () => service.Output.Contains("secret signing of webhook 1 is encrypted under key two, which is not in Secrets:Keys of this service", StringComparison.Ordinal),
            "the missing key is named");
        Assert.Equal(stored, await DumpAsync());
        Assert.DoesNotContain(Canary, service.Output, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task What_is_stored_over_REST_is_ciphertext_when_the_answer_comes()
    {
        await using var service = await StartAsync("one", ("one", One));
        using var http = new HttpClient { BaseAddress = service.HttpUrl };
        using var created = await http.PostAsJsonAsync("/api/v1/webhooks", new { name = "one", url = "https://example.com/", signingSecret = Signing });
        Assert.Equal(HttpStatusCode.Created, created.StatusCode);
        Assert.Equal(Signing, (await created.Content.ReadFromJsonAsync<JsonNode>())!["signingSecret"]!.GetValue<string>());
        Assert.Equal(0, await PlainAsync());
        using var set = await http.PutAsJsonAsync("/api/v1/webhooks/1/secrets/api", new { value = $"{Canary}-api" });
        Assert.Equal(HttpStatusCode.NoContent, set.StatusCode);
        Assert.Equal(0, await PlainAsync());

        using var rotated = await http.PostAsync("/api/v1/webhooks/1/secrets/signing/rotate", null);
        var fresh = (await rotated.Content.ReadFromJsonAsync<JsonNode>())!["signingSecret"]!.GetValue<string>();
        Assert.Equal(0, await PlainAsync());
        var box = Box("one", ("one", One));
        Assert.Equal(fresh, await ReadAsync(box, "signing"));
        Assert.Equal(Signing, await ReadAsync(box, "signing-previous"));
        Assert.DoesNotContain(Canary, await DumpAsync(), StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task An_ed25519_key_is_ciphertext_and_its_public_half_is_still_shown_where_it_can_be_decrypted()
    {
        string? shown;
        await using (var service = await StartAsync("one", ("one", One)))
        {
            using var http = new HttpClient { BaseAddress = service.HttpUrl };
            using var created = await http.PostAsJsonAsync("/api/v1/webhooks", new { name = "one", url = "https://example.com/" });
            using var rotated = await http.PostAsJsonAsync("/api/v1/webhooks/1/secrets/signing/rotate", new { kind = "ed25519", graceSeconds = 0 });
            shown = (await rotated.Content.ReadFromJsonAsync<JsonNode>())!["publicKey"]!.GetValue<string>();
            Assert.Equal(0, await PlainAsync());
            Assert.Equal(shown, await ListedAsync(http));
            Assert.Equal(Ed25519Key.TryParse((await ReadAsync(Box("one", ("one", One)), "signing"))!)!.PublicKey, shown);
            Assert.DoesNotContain("whsk_", service.Output + await DumpAsync(), StringComparison.Ordinal);
        }

        await using var without = await StartAsync("two", ("two", Two));
        using var other = new HttpClient { BaseAddress = without.HttpUrl };
        Assert.Null(await ListedAsync(other));

        static async Task<string?> ListedAsync(HttpClient http)
            => (await http.GetFromJsonAsync<JsonNode>("/api/v1/webhooks/1/secrets"))!["items"]![0]!["publicKey"]?.GetValue<string>();
    }

    [Fact]
    public async Task Without_a_key_secrets_stay_plain_and_that_is_said_once()
    {
        await ExecuteAsync("SELECT rule_webhook_register('one', 'https://example.com/')");
        await using var service = await StartAsync(null);
        await Wait.UntilAsync(() => service.Output.Contains("secrets stay plain text", StringComparison.Ordinal), "the warning is written");
        Assert.StartsWith("whsec_", await ScalarAsync<string>("SELECT rule_webhook_secret_get(1, 'signing')"), StringComparison.Ordinal);
    }

    private static SecretBox Box(string? active, params (string Id, string Key)[] keys)
    {
        var options = new SecretsOptions { ActiveKey = active };
        foreach (var (id, key) in keys)
        {
            options.Keys[id] = key;
        }

        return new SecretBox(Options.Create(options));
    }

    private Task<ServiceProcess> StartAsync(string? active, params (string Id, string Key)[] keys)
    {
        var settings = RunningService.Settings(_database, _nats.Url);
        settings["DOTNET_ENVIRONMENT"] = "Production";
        settings["Messaging__ConfigRefresh"] = "00:30:00";
        settings["Secrets__ActiveKey"] = active;
        foreach (var (id, key) in keys)
        {
            settings[$"Secrets__Keys__{id}"] = key;
        }

        return ServiceProcess.StartAsync("ConfigService", settings);
    }

    private Task EncryptedAsync(string key, int secrets) => Wait.UntilAsync(
        async () => await ScalarAsync<long>($"""
            SELECT (SELECT count(*) FROM rule_webhook_secrets WHERE key_id = '{key}')
                 + (SELECT count(auth_token_key_id) + count(auth_nkey_seed_key_id) FROM rule_nats_config WHERE auth_token_key_id = '{key}' AND auth_nkey_seed_key_id = '{key}')
            """) == secrets,
        $"{secrets} secrets are encrypted under key {key}",
        Soon);

    private Task<long> PlainAsync() => ScalarAsync<long>("SELECT count(*) FROM rule_webhook_secrets WHERE key_id IS NULL");

    private Task<string> DumpAsync() => ScalarAsync<string>("""
        SELECT (SELECT string_agg(s::text, E'\n' ORDER BY s.secret_id) FROM rule_webhook_secrets s) || coalesce((SELECT string_agg(c::text, E'\n' ORDER BY c.config_id) FROM rule_nats_config c), '')
        """);

    private async Task<string?> ReadAsync(SecretBox box, string name)
    {
        await using var command = _rules.CreateCommand("SELECT key_id, secret_value FROM rule_webhook_secrets WHERE webhook_id = 1 AND secret_name = $1");
        command.Parameters.Add(new() { Value = name });
        await using var row = await command.ExecuteReaderAsync();
        Assert.True(await row.ReadAsync());
        return box.Decrypt(SecretPlace.OfWebhook(1, name), row.GetString(0), row.GetString(1)).Plain;
    }

    private async Task ExecuteAsync(string sql)
    {
        await using var command = _rules.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    private async Task<T> ScalarAsync<T>(string sql, int result = 0)
    {
        await using var command = _rules.CreateCommand(sql);
        await using var row = await command.ExecuteReaderAsync();
        for (var skipped = 0; skipped < result; skipped++)
        {
            Assert.True(await row.NextResultAsync());
        }

        Assert.True(await row.ReadAsync());
        return row.GetFieldValue<T>(0);
    }
}
