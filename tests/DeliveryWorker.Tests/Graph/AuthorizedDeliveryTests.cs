using RuleEngineNats.DeliveryWorker.Tests.Authorization;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.DeliveryWorker.Tests.Graph;

/// <summary>Signing and authorization from the rows in PostgreSQL to the receiver.</summary>
[Trait("Category", "Servers")]
public sealed class AuthorizedDeliveryTests
{
    private const string Outcomes = "SELECT string_agg(DISTINCT h.error_message, '|') FROM rule_webhook_call_history h WHERE h.webhook_id = $1";

    [Fact]
    public async Task A_client_certificate_is_offered_and_a_replaced_one_no_more()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        using var authority = new TestAuthority();
        await using var receiver = await TlsReceiver.StartAsync(authority);
        var webhook = await graph.RegisterAsync("mtls", "events.mtls", url: receiver.Url, maxRetries: 0);
        await graph.ExecuteAsync("""SELECT rule_webhook_configure($1, '{"auth_type": "mtls"}')""", webhook.Id);
        await graph.StartWorkerAsync(settings: ("SSL_CERT_FILE", authority.File));

        await graph.PublishAsync("events.mtls", "{}", "m1");
        await Wait.UntilAsync(async () => await graph.ScalarAsync(Outcomes, webhook.Id) is string, "an attempt without the secret");
        Assert.Contains("auth_type mtls needs the secret auth", (string)(await graph.ScalarAsync(Outcomes, webhook.Id))!, StringComparison.Ordinal);
        Assert.Empty(receiver.Subjects);

        foreach (var name in (string[])["first", "second"])
        {
            await graph.ExecuteAsync("SELECT rule_webhook_secret_set($1, 'auth', $2)", webhook.Id, authority.IssuePem(name));
            await DeliverUntilAsync(graph, "events.mtls", () => receiver.Subjects.Contains("CN=" + name), $"a delivery by {name}");
        }

        Assert.Equal("CN=second", receiver.Subjects.Last());
        Assert.Equal(["CN=first", "CN=second"], receiver.Subjects.Distinct());
    }

    [Fact]
    public async Task A_rotated_secret_signs_beside_the_new_one_and_ends_in_time_without_any_change_of_the_configuration()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var webhook = await graph.RegisterAsync("rotated", "events.rotated", "/rotated");
        const string Fresh = "whsec_ZnJlc2ggc2VjcmV0IG9mIGEgcm90YXRpb24gdGVzdA==";
        // What ends the secret is its time alone: nothing is read again after these two changes.
        await graph.StartWorkerAsync(settings: ("Messaging__ConfigRefresh", "00:30:00"));
        await graph.ExecuteAsync(
            "INSERT INTO rule_webhook_secrets (webhook_id, secret_name, secret_value, expires_at) VALUES ($1, 'signing-previous', $2, now() + interval '10 seconds')", webhook.Id, webhook.Secret);
        await graph.ExecuteAsync("SELECT rule_webhook_secret_set($1, 'signing', $2)", webhook.Id, Fresh);
        var expires = (DateTime)(await graph.ScalarAsync("SELECT expires_at FROM rule_webhook_secrets WHERE secret_name = 'signing-previous'"))!;

        await DeliverUntilAsync(graph, "events.rotated", () => graph.Receiver.Requests.Any(request => !Old(request)), "a request by the new secret alone");

        var requests = graph.Receiver.Requests.ToArray();
        Assert.Contains(requests, request => Old(request) && New(request));
        Assert.All(requests.Where(request => !Old(request)), request => Assert.True(New(request)));
        Assert.All(requests.Where(Old), request => Assert.True(request.At < expires.AddSeconds(1), $"{request.At:O} is after {expires:O}"));

        bool Old(ReceivedRequest request) => StandardWebhookVerifier.Verify(webhook.Secret, request);
        static bool New(ReceivedRequest request) => StandardWebhookVerifier.Verify(Fresh, request);
    }

    [Theory]
    [InlineData("github", "X-Hub-Signature-256")]
    [InlineData("stripe", "Stripe-Signature")]
    public async Task A_profile_and_a_bearer_token_are_taken_from_the_rows(string profile, string header)
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var webhook = await graph.RegisterAsync("profile", "events.profile", "/profile");
        await graph.ExecuteAsync("SELECT rule_webhook_configure($1, jsonb_build_object('signature_profile', $2::text, 'auth_type', 'bearer'))", webhook.Id, profile);
        await graph.ExecuteAsync("SELECT rule_webhook_secret_set($1, 'auth', 'bearer-canary')", webhook.Id);
        var worker = await graph.StartWorkerAsync();

        await graph.PublishAsync("events.profile", "{}", "m1");
        await graph.Receiver.WaitForAsync(received => received.Requests.Count == 1, "the delivery");

        var request = graph.Receiver.Requests.Single();
        Assert.True(request.Headers.ContainsKey(header));
        Assert.False(request.Headers.ContainsKey("webhook-signature"));
        Assert.Equal("Bearer bearer-canary", request.Headers["Authorization"]);
        await worker.SaysAsync("webhook " + webhook.Id);
        Assert.DoesNotContain("canary", worker.Output, StringComparison.Ordinal);
    }

    // One event after another, each when the one before has its outcome.
    private static async Task DeliverUntilAsync(DeliveryGraph graph, string subject, Func<bool> done, string what)
    {
        var number = 0;
        await Wait.UntilAsync(
            async () =>
            {
                if (!done())
                {
                    await graph.PublishAsync(subject, "{}", $"{subject}-{what}-{number++}".Replace(' ', '-'));
                    await Wait.UntilAsync(async () => (await graph.ConsumerAsync()) is { NumPending: 0, NumAckPending: 0 }, "the event has its outcome");
                }

                return done();
            },
            what);
    }
}
