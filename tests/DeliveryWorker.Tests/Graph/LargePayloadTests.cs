using System.Text;
using System.Text.Json;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.DeliveryWorker.Tests.Graph;

/// <summary>Events whose body lies in the Object Store.</summary>
[Trait("Category", "Servers")]
public sealed class LargePayloadTests
{
    private const int Size = 700_000;

    [Fact]
    public async Task The_body_of_an_object_is_filtered_templated_signed_sent_and_kept_for_the_repeat()
    {
        await using var graph = await StartAsync();
        var plain = await graph.RegisterAsync("plain", "events.>", "/plain");
        var filtered = await graph.RegisterAsync("filtered", "events.>", "/filtered", settings: """{"content_filter": "$.more == \"vip\""}""");
        var templated = await graph.RegisterAsync("templated", "events.>", "/templated", settings: """{"payload_template": {"of": "{{more}}"}}""");
        graph.Receiver.Answer("/plain", 503, 200);
        await graph.ExecuteAsync("SELECT rule_webhook_configure($1, '{\"retry_schedule\": [1]}')", plain.Id);
        await graph.StartWorkerAsync(settings: ("Delivery__ThrottledDelay", "00:00:00.100"));
        var (vip, other) = (Body("vip"), Body("other"));
        await PublishAsync(graph, vip, "1_vip");
        await PublishAsync(graph, other, "1_other");
        await graph.SettledAsync(2);
        // The repeat has its bytes from PostgreSQL.
        await (await PayloadBucket.OpenAsync(graph.JetStream)).DeleteAsync(PayloadBucket.Sha256(vip));
        await (await PayloadBucket.OpenAsync(graph.JetStream)).DeleteAsync(PayloadBucket.Sha256(other));
        await graph.DrainedAsync(2);

        Assert.Equal(3, graph.Receiver.At("/plain").Count());
        Assert.All(graph.Receiver.At("/plain"), request =>
        {
            Assert.True(request.Body.AsSpan().SequenceEqual(request.Id == "1_vip" ? vip : other));
            Assert.True(StandardWebhookVerifier.Verify(plain.Secret, request));
            Assert.DoesNotContain(request.Headers.Keys, name => name.StartsWith("rule-", StringComparison.OrdinalIgnoreCase));
        });
        var got = Assert.Single(graph.Receiver.At("/filtered"));
        Assert.Equal("1_vip", got.Id);
        Assert.True(got.Body.AsSpan().SequenceEqual(vip));
        Assert.True(StandardWebhookVerifier.Verify(filtered.Secret, got));
        Assert.Equal(["""{"of":"other"}""", """{"of":"vip"}"""], graph.Receiver.At("/templated").Select(request => Encoding.UTF8.GetString(request.Body)).Order());
        Assert.All(graph.Receiver.At("/templated"), request => Assert.True(StandardWebhookVerifier.Verify(templated.Secret, request)));
    }

    [Fact]
    public async Task A_body_that_the_bucket_lost_comes_from_the_history_and_one_that_is_nowhere_is_a_dead_letter_that_says_so()
    {
        await using var graph = await StartAsync();
        var webhook = await graph.RegisterAsync("hook", "events.>", "/hook", settings: """{"content_filter": "$.more == \"kept\""}""");
        var (kept, damaged, lost) = (Body("kept"), Body("kept"), Body("kept"));
        await PublishAsync(graph, kept, "1_kept", ("ce-time", "2030-01-02T03:04:05.1234567Z"));
        await PublishAsync(graph, damaged, "1_damaged");
        await PublishAsync(graph, lost, "1_lost");
        await graph.ExecuteAsync("""
            INSERT INTO rule_nats_publish_history (subject, payload, body, body_sha256, nats_msg_id, published_at, state, stream_name, sequence_number)
            VALUES ('events.large', '{}', $1, sha256($1), '1_kept', '2030-01-02T03:04:05.123457Z', 'stored', 'WEBHOOKS', 1)
            """, kept);
        var bucket = await PayloadBucket.OpenAsync(graph.JetStream);
        await bucket.DeleteAsync(PayloadBucket.Sha256(kept));
        await bucket.DeleteAsync(PayloadBucket.Sha256(lost));
        await PayloadBucket.DamageAsync(graph.JetStream, damaged);
        await graph.StartWorkerAsync();
        await graph.SettledAsync(3);

        var request = Assert.Single(graph.Receiver.Requests);
        Assert.True(request.Body.AsSpan().SequenceEqual(kept));
        Assert.True(StandardWebhookVerifier.Verify(webhook.Secret, request));
        Assert.Equal(
            $"payload_missing: the object is gone, and the history does not have the body (RULE_PAYLOADS/{PayloadBucket.Sha256(lost)})",
            await graph.ScalarAsync("SELECT error_message FROM rule_webhook_dead_letters WHERE event_id = '1_lost'"));
        Assert.StartsWith(
            "payload_missing: the object is damaged, ", (string?)await graph.ScalarAsync("SELECT error_message FROM rule_webhook_dead_letters WHERE event_id = '1_damaged'"),
            StringComparison.Ordinal);
        Assert.Equal(2, await graph.CountAsync("SELECT count(*) FROM rule_webhook_call_history WHERE outcome = 'failed'"));

        // A redriven one looks again: no empty body is ever sent, and what is there again is.
        await graph.ExecuteAsync("SELECT rule_webhook_redrive(call_id) FROM rule_webhook_dead_letters WHERE event_id = '1_lost'");
        await Wait.UntilAsync(async () => await graph.CountAsync("SELECT count(*) FROM rule_webhook_call_history WHERE event_id = '1_lost' AND outcome = 'failed'") == 2, "it failed again");
        await bucket.PutAsync(PayloadBucket.Sha256(lost), lost);
        await graph.DrainedAsync(3);
        await graph.ExecuteAsync("SELECT rule_webhook_redrive(call_id) FROM rule_webhook_dead_letters WHERE event_id = '1_lost'");
        await graph.Receiver.WaitForAsync(received => received.Requests.Count == 2, "the redriven event");
        request = graph.Receiver.Requests.Last();
        Assert.True(request.Body.AsSpan().SequenceEqual(lost));
        Assert.True(StandardWebhookVerifier.Verify(webhook.Secret, request));
        Assert.DoesNotContain("rule-object", request.Headers.Keys);
    }

    [Fact]
    public async Task An_event_whose_worker_died_and_a_replay_have_the_body_again()
    {
        await using var graph = await StartAsync();
        var webhook = await graph.RegisterAsync("hook", "events.>", "/hook", settings: """{"content_filter": "$.more == \"vip\""}""");
        var answer = new TaskCompletionSource();
        graph.Receiver.Answer("/hook", (_, count) => count == 1 ? answer.Task : Task.CompletedTask);
        (string, string)[] quick = [("Delivery__AckWait", "00:00:02"), ("Delivery__ProgressEvery", "00:00:00.500"), ("Delivery__DetachAfter", "00:00:30"), ("Replays__ReadAheadBytes", "1048576")];
        var first = await graph.StartWorkerAsync(settings: quick);
        var (vip, other) = (Body("vip"), Body("other"));
        await PublishAsync(graph, vip, "1_vip");
        await PublishAsync(graph, other, "1_other");
        await graph.Receiver.WaitForAsync(received => received.Requests.Count == 1, "the first attempt");
        await first.KillAsync();
        await graph.StartWorkerAsync(settings: quick);
        await graph.SettledAsync(2);
        answer.SetResult();

        var replay = await graph.CountAsync("SELECT rule_webhook_replay($1)", webhook.Id);
        await graph.Receiver.WaitForAsync(received => received.Requests.Any(request => request.Headers.ContainsKey("webhook-replay")), "the replayed event");
        await Wait.UntilAsync(async () => Status(await graph.ScalarAsync("SELECT rule_webhook_replay_status($1)::text", replay)) == ("done", 2, 1), "the replay is done");

        Assert.Equal(3, graph.Receiver.Requests.Count);
        Assert.All(graph.Receiver.Requests, request =>
        {
            Assert.True(request.Body.AsSpan().SequenceEqual(vip));
            Assert.True(StandardWebhookVerifier.Verify(webhook.Secret, request));
        });

        static (string?, int, int) Status(object? json)
        {
            using var status = JsonDocument.Parse((string)json!);
            return (status.RootElement.GetProperty("state").GetString(), status.RootElement.GetProperty("scanned").GetInt32(), status.RootElement.GetProperty("matched").GetInt32());
        }
    }

    private static async Task<DeliveryGraph> StartAsync()
    {
        var graph = await DeliveryGraph.StartAsync();
        await PayloadBucket.CreateAsync(graph.JetStream);
        return graph;
    }

    private static byte[] Body(string more) => Encoding.UTF8.GetBytes(PayloadBucket.Json(Size, more));

    private static async Task PublishAsync(DeliveryGraph graph, byte[] body, string id, params (string, string)[] headers)
    {
        await (await PayloadBucket.OpenAsync(graph.JetStream)).PutAsync(PayloadBucket.Sha256(body), body);
        await graph.PublishAsync("events.large", [], id, [.. PayloadBucket.Headers(body), .. headers]);
    }
}
