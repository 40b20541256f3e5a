using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.Reliability.Tests;

/// <summary>Deliveries of a graph whose services have a key for the secrets in PostgreSQL.</summary>
[Trait("Category", "Servers")]
public sealed class EncryptedSecretTests
{
    private const string Second = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(2);

    [Fact]
    public async Task A_delivery_is_signed_with_a_secret_that_nobody_can_read_in_the_database_and_never_unsigned()
    {
        await using var graph = await ServiceGraph.StartAsync(settings: new Dictionary<string, string?>
        {
            ["Secrets__ActiveKey"] = "main",
            ["Secrets__Keys__main"] = Convert.ToBase64String([.. Enumerable.Repeat((byte)7, 32)]),
        });
        var webhook = await graph.RegisterAsync("sealed");
        await EncryptedAsync();
        await PublishAsync();
        await ArrivedAsync(1, webhook.Secret);

        // Replaced by SQL while the worker runs.
        await graph.ScalarAsync<bool>("SELECT rule_webhook_secret_set($1, 'signing', $2)", [webhook.Id, Second]);
        await EncryptedAsync();
        await Wait.UntilAsync(
            async () =>
            {
                await PublishAsync();
                await graph.Receiver.WaitForAsync(receiver => receiver.At(webhook.Path).Any(), "a delivery");
                return graph.Receiver.At(webhook.Path).Any(request => StandardWebhookVerifier.Verify(Second, request));
            },
            "the new secret is used",
            Soon);
        Assert.DoesNotContain("whsec_", await graph.ScalarAsync<string>("SELECT string_agg(s::text, ' ') FROM rule_webhook_secrets s", []), StringComparison.Ordinal);

        // Under a key that the worker does not have.
        await graph.ScalarAsync<int>("UPDATE rule_webhooks SET retry_delay_ms = 200, max_retries = 10 WHERE webhook_id = $1 RETURNING 1", [webhook.Id]);
        await graph.ScalarAsync<int>("UPDATE rule_webhook_secrets SET key_id = 'gone' RETURNING 1", []);
        const string Problem = "secret signing of webhook 1 is encrypted under key gone, which is not in Secrets:Keys of this service";
        await graph.Workers[0].SaysAsync(Problem, Soon);
        await Wait.UntilAsync(async () => (await graph.Workers[0].HealthAsync()).Body.Contains("key gone", StringComparison.Ordinal), "so does its readiness");
        await graph.ScalarAsync<string>("""SELECT rule_webhook_publish_nats($1, '{"n": 2}', 'unsigned')::text""", [webhook.Id]);
        await Wait.UntilAsync(
            async () => await graph.ScalarAsync<bool>("SELECT EXISTS (SELECT FROM rule_webhook_calls WHERE error_message LIKE '%' || $1 || '%')", [Problem]), "the call says why it waits");
        Assert.DoesNotContain(graph.Receiver.At(webhook.Path), request => request.Id.EndsWith("unsigned", StringComparison.Ordinal));

        await graph.ScalarAsync<int>("UPDATE rule_webhook_secrets SET key_id = 'main' RETURNING 1", []);
        await graph.Receiver.WaitForAsync(receiver => receiver.At(webhook.Path).Any(request => request.Id.EndsWith("unsigned", StringComparison.Ordinal)), "with the key it arrives");
        Assert.All(graph.Receiver.At(webhook.Path), request => Assert.True(StandardWebhookVerifier.Verify(webhook.Secret, request) || StandardWebhookVerifier.Verify(Second, request)));

        Task PublishAsync() => graph.ScalarAsync<string>("""SELECT rule_webhook_publish_nats($1, '{"n": 1}')::text""", [webhook.Id]);

        Task EncryptedAsync() => Wait.UntilAsync(
            () => graph.ScalarAsync<bool>("SELECT bool_and(key_id = 'main') FROM rule_webhook_secrets", []), "the secret is encrypted", Soon);

        async Task ArrivedAsync(int count, string secret)
        {
            await graph.Receiver.WaitForAsync(receiver => receiver.At(webhook.Path).Count() == count, $"{count} deliveries");
            Assert.True(StandardWebhookVerifier.Verify(secret, graph.Receiver.At(webhook.Path).Last()));
        }
    }
}
