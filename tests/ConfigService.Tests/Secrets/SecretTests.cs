using System.Net;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.ConfigService.Tests.Secrets;

[Collection(nameof(RunningService))]
[Trait("Category", "Servers")]
public sealed class SecretTests(RunningService service)
{
    [Fact]
    public async Task A_secret_is_set_listed_by_name_and_deleted()
    {
        var (id, name, _) = await service.RegisterAsync();
        var path = $"/api/v1/webhooks/{name}/secrets";
        Assert.Equal(HttpStatusCode.NoContent, (await service.PutAsync($"{path}/api_token", """{"value":"hidden-3"}""")).Status);
        Assert.Equal("hidden-3", await service.ScalarAsync<string>("SELECT rule_webhook_secret_get($1, 'api_token')", id));

        var list = await service.GetAsync(path);
        Assert.Equal(["api_token", "signing"], list.Json["items"]!.AsArray().Select(secret => secret!["name"]!.GetValue<string>()));
        Assert.DoesNotContain("hidden-3", list.Body, StringComparison.Ordinal);

        Assert.Equal(HttpStatusCode.NoContent, (await service.DeleteAsync($"{path}/api_token")).Status);
        (await service.DeleteAsync($"{path}/api_token")).IsProblem(404, "secret_not_found");
    }

    [Fact]
    public async Task A_signing_secret_of_ones_own_replaces_the_one_made()
    {
        var (id, _, made) = await service.RegisterAsync();
        var own = "whsec_" + Convert.ToBase64String(Enumerable.Repeat((byte)7, 24).ToArray());
        Assert.Equal(HttpStatusCode.NoContent, (await service.PutAsync($"/api/v1/webhooks/{id}/secrets/signing", $$"""{"value":"{{own}}"}""")).Status);
        Assert.NotEqual(made, own);
        Assert.Equal(own, await service.ScalarAsync<string>("SELECT rule_webhook_secret_get($1, 'signing')", id));
    }

    [Fact]
    public async Task Rotating_shows_the_new_secret_once_and_keeps_the_old_one_for_its_grace_time()
    {
        var (id, _, old) = await service.RegisterAsync();
        var rotated = await service.PostAsync($"/api/v1/webhooks/{id}/secrets/signing/rotate", """{"graceSeconds":3600}""");
        Assert.Equal(HttpStatusCode.OK, rotated.Status);
        var fresh = rotated.Text("signingSecret");
        Assert.NotEqual(old, fresh);
        Assert.True(rotated.NotToBeStored);
        Assert.Equal(fresh, await service.ScalarAsync<string>("SELECT rule_webhook_secret_get($1, 'signing')", id));
        Assert.Equal(old, await service.ScalarAsync<string>(
            """
            SELECT secret_value FROM rule_webhook_secrets
             WHERE webhook_id = $1 AND secret_name = 'signing-previous' AND expires_at BETWEEN now() + interval '50 minutes' AND now() + interval '1 hour'
            """, id));

        var again = await service.PostAsync($"/api/v1/webhooks/{id}/secrets/signing/rotate", null);
        Assert.Equal(fresh, await service.ScalarAsync<string>("SELECT rule_webhook_secret_get($1, 'signing-previous')", id));
        Assert.NotNull(again.Json["previousExpiresAt"]);

        var hard = await service.PostAsync($"/api/v1/webhooks/{id}/secrets/signing/rotate", """{"graceSeconds":0}""");
        Assert.Null(hard.Json["previousExpiresAt"]);
        Assert.Equal(1, await service.ScalarAsync<long>("SELECT count(*) FROM rule_webhook_secrets WHERE webhook_id = $1", id));
    }

    [Fact]
    public async Task An_ed25519_key_is_made_kept_and_shown_by_its_public_half_alone()
    {
        var (id, _, old) = await service.RegisterAsync();
        var path = $"/api/v1/webhooks/{id}/secrets";
        Assert.Null((await service.GetAsync(path)).Json["items"]![0]!["publicKey"]);

        var rotated = await service.PostAsync($"{path}/signing/rotate", """{"kind":"ed25519"}""");
        Assert.Null(rotated.Json["signingSecret"]);
        Assert.NotNull(rotated.Json["previousExpiresAt"]);
        var made = await service.ScalarAsync<string>("SELECT rule_webhook_secret_get($1, 'signing')", id);
        Assert.Equal(Ed25519Key.TryParse(made)!.PublicKey, rotated.Text("publicKey"));
        Assert.Equal(old, await service.ScalarAsync<string>("SELECT rule_webhook_secret_get($1, 'signing-previous')", id));

        // Without a kind it stays as it is; hmac is the way back.
        var again = await service.PostAsync($"{path}/signing/rotate", null);
        Assert.StartsWith("whpk_", again.Text("publicKey"), StringComparison.Ordinal);
        Assert.NotEqual(rotated.Text("publicKey"), again.Text("publicKey"));
        var list = (await service.GetAsync(path)).Json["items"]!.AsArray();
        Assert.Equal([again.Text("publicKey"), rotated.Text("publicKey")], list.Select(item => item!["publicKey"]!.GetValue<string>()));
        var back = await service.PostAsync($"{path}/signing/rotate", """{"kind":"hmac"}""");
        Assert.StartsWith("whsec_", back.Text("signingSecret"), StringComparison.Ordinal);
        Assert.Null(back.Json["publicKey"]);
    }

    [Fact]
    public async Task An_ed25519_key_of_ones_own_is_taken_as_seed_and_as_pair()
    {
        var (id, _, _) = await service.RegisterAsync();
        var pair = Ed25519Key.MakePrivate();
        var seed = "whsk_" + Convert.ToBase64String(Convert.FromBase64String(pair["whsk_".Length..])[..32]);
        foreach (var value in (string[])[pair, seed])
        {
            Assert.Equal(HttpStatusCode.NoContent, (await service.PutAsync($"/api/v1/webhooks/{id}/secrets/signing", $$"""{"value":"{{value}}"}""")).Status);
            Assert.Equal(Ed25519Key.TryParse(pair)!.PublicKey, (await service.GetAsync($"/api/v1/webhooks/{id}/secrets")).Json["items"]![0]!["publicKey"]!.GetValue<string>());
        }
    }

    [Fact]
    public async Task Credentials_are_listed_by_name_alone()
    {
        var (id, _, _) = await service.RegisterAsync();
        Assert.Equal(HttpStatusCode.NoContent, (await service.PutAsync($"/api/v1/webhooks/{id}/secrets/auth", """{"value":"user:hidden-11"}""")).Status);
        var list = await service.GetAsync($"/api/v1/webhooks/{id}/secrets");
        Assert.Equal(["auth", "signing"], list.Json["items"]!.AsArray().Select(item => item!["name"]!.GetValue<string>()));
        Assert.DoesNotContain("hidden", list.Body + service.Service.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_kind_that_is_none_is_refused()
    {
        var (id, _, _) = await service.RegisterAsync();
        var problem = (await service.PostAsync($"/api/v1/webhooks/{id}/secrets/signing/rotate", """{"kind":"rsa"}""")).IsProblem(400, "invalid_value");
        Assert.Equal("must be hmac, ed25519", problem.Errors()["kind"].Message);
    }

    [Theory]
    [InlineData("{}", "required")]
    [InlineData("""{"value":null}""", "required")]
    [InlineData("""{"value":""}""", "invalid_value")]
    [InlineData("""{"value":5}""", "wrong_type")]
    [InlineData("""{"value":"x","expires":1}""", "unknown_field")]
    public async Task A_secret_without_a_proper_value_is_refused(string body, string code)
    {
        var (id, _, _) = await service.RegisterAsync();
        (await service.PutAsync($"/api/v1/webhooks/{id}/secrets/other", body)).IsProblem(400, code);
    }

    [Theory]
    [InlineData("secret")]
    [InlineData("whsec_")]
    [InlineData("whsec_AAAA")]
    [InlineData("whsec_not base64 at all!!")]
    [InlineData("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("whsk_AAAA")]
    [InlineData("whsk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==")]
    [InlineData("whpk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")]
    public async Task A_signing_secret_of_another_form_is_refused_without_being_repeated(string value)
    {
        var (id, _, _) = await service.RegisterAsync();
        foreach (var name in (string[])["signing", "signing-next"])
        {
            var problem = (await service.PutAsync($"/api/v1/webhooks/{id}/secrets/{name}", $$"""{"value":"{{value}}"}""")).IsProblem(400, "invalid_secret");
            Assert.DoesNotContain($"\"{value}\"", problem.Body, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_signing_secret_of_more_than_64_bytes_is_refused()
    {
        var (id, _, _) = await service.RegisterAsync();
        var value = "whsec_" + Convert.ToBase64String(new byte[65]);
        (await service.PutAsync($"/api/v1/webhooks/{id}/secrets/signing", $$"""{"value":"{{value}}"}""")).IsProblem(400, "invalid_secret");
    }

    [Fact]
    public async Task A_name_with_a_space_or_of_129_characters_is_refused()
    {
        var (id, _, _) = await service.RegisterAsync();
        (await service.PutAsync($"/api/v1/webhooks/{id}/secrets/a%20b", """{"value":"x"}""")).IsProblem(400, "invalid_value");
        (await service.PutAsync($"/api/v1/webhooks/{id}/secrets/{new string('n', 129)}", """{"value":"x"}""")).IsProblem(400, "invalid_value");
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(86_401)]
    public async Task A_grace_time_out_of_bounds_is_refused(int seconds)
    {
        var (id, _, _) = await service.RegisterAsync();
        (await service.PostAsync($"/api/v1/webhooks/{id}/secrets/signing/rotate", $$"""{"graceSeconds":{{seconds}}}""")).IsProblem(400, "out_of_range");
    }

    [Fact]
    public async Task No_answer_to_a_GET_has_a_secret_in_it()
    {
        var (id, name, signing) = await service.RegisterAsync();
        await service.PatchAsync($"/api/v1/webhooks/{id}", """{"headers":{"Authorization":"Bearer hidden-4","X-Api-Key":"hidden-5","Cookie":"hidden-6"}}""");
        await service.PutAsync($"/api/v1/webhooks/{id}/secrets/other", """{"value":"hidden-7"}""");
        await service.PostAsync($"/api/v1/webhooks/{id}/enable-nats", null);
        // As an operator may have put them there with SQL.
        await service.ExecuteAsync(
            """
            INSERT INTO rule_nats_config (config_name, nats_url, nats_cluster_urls, auth_type, auth_token, auth_nkey_seed, enabled)
            VALUES ('with_secrets', 'nats://user:hidden-8@nats.invalid', ARRAY['nats://user:hidden-9@other.invalid'], 'token', 'hidden-10', 'SU' || repeat('HIDDEN', 9) || '22', false)
            ON CONFLICT DO NOTHING
            """);

        foreach (var path in (string[])
        [
            "webhooks", $"webhooks/{id}", $"webhooks/{name}", $"webhooks/{id}/secrets", "connections", "connections/with_secrets", "connections/default", "connections/default/health",
            "streams", "streams/WEBHOOKS", "publish-statistics", "publish-statistics/webhooks", "publish-statistics/latencies",
            "publish-statistics/failures", "delivery-statistics", "pool",
        ])
        {
            var answer = await service.GetAsync($"/api/v1/{path}");
            Assert.Equal(HttpStatusCode.OK, answer.Status);
            Assert.DoesNotContain("hidden", answer.Body, StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotContain(signing, answer.Body, StringComparison.Ordinal);
            Assert.DoesNotContain("whsec_", answer.Body, StringComparison.Ordinal);
        }

        Assert.DoesNotContain("hidden", service.Service.Output, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain(signing, service.Service.Output, StringComparison.Ordinal);
    }
}
