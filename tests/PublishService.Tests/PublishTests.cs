using System.Security.Cryptography;
using System.Text;
using Google.Protobuf;
using Grpc.Core;
using NATS.Client.JetStream;
using RuleEngineNats.Contracts;
using RuleEngineNats.Contracts.Publishing;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.PublishService.Tests;

[Trait("Category", "Servers")]
public sealed class PublishTests(PublishFixture fixture) : IClassFixture<PublishFixture>
{
    [Fact]
    public async Task An_event_by_subject_is_stored_byte_for_byte_with_its_headers()
    {
        var subject = fixture.NewSubject();
        const string Payload = "{ \"n\" : 9007199254740993,\t\"é\":\"ü\" }";

        var response = await fixture.Client.PublishAsync(PublishFixture.Event(subject, Payload, "id-1"));

        var message = Assert.Single(await fixture.StoredAsync(subject));
        Assert.Equal(Payload, PublishFixture.Text(message));
        Assert.Equal("WEBHOOKS", response.Stream);
        Assert.Equal(message.Metadata!.Value.Sequence.Stream, response.Sequence);
        Assert.False(response.Duplicate);
        Assert.Equal("id-1", response.MessageId);
        Assert.Equal(subject, response.Subject);
        Assert.True(response.LatencyMs > 0);
        Assert.Equal("0_id-1", Header(message, EventHeaders.MessageId));
        Assert.Equal("WEBHOOKS", Header(message, EventHeaders.ExpectedStream));
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Payload))), Header(message, EventHeaders.BodySha256));
        Assert.Equal("0_id-1", Header(message, EventHeaders.CloudEventId));
        Assert.Equal(subject, Header(message, EventHeaders.CloudEventType));
        Assert.Equal("1.0", Header(message, EventHeaders.CloudEventSpecVersion));
        Assert.Null(Header(message, EventHeaders.WebhookId));
    }

    [Fact]
    public async Task An_event_by_webhook_id_and_by_name_goes_to_its_subject()
    {
        var (id, name, subject) = await fixture.NewWebhookAsync();

        var byId = await fixture.Client.PublishAsync(PublishFixture.Event(id));
        var byName = await fixture.Client.PublishAsync(new PublishRequest { WebhookName = name, Payload = ByteString.CopyFromUtf8("[]") });

        var messages = await fixture.StoredAsync(subject);
        Assert.Equal([byId.Sequence, byName.Sequence], messages.Select(message => message.Metadata!.Value.Sequence.Stream));
        Assert.All(messages, message => Assert.Equal($"{id}", Header(message, EventHeaders.WebhookId)));
    }

    [Fact]
    public async Task A_webhook_registered_a_moment_ago_is_found()
    {
        for (var round = 0; round < 20; round++)
        {
            var (id, _, _) = await fixture.NewWebhookAsync();
            Assert.True((await fixture.Client.PublishAsync(PublishFixture.Event(id))).Sequence > 0);
        }
    }

    [Fact]
    public async Task Without_a_message_id_each_event_gets_its_own()
    {
        var subject = fixture.NewSubject();

        var first = await fixture.Client.PublishAsync(PublishFixture.Event(subject));
        var second = await fixture.Client.PublishAsync(PublishFixture.Event(subject));

        Assert.NotEqual(first.MessageId, second.MessageId);
        Assert.Equal('7', first.MessageId[14]);
        Assert.Equal(first.Sequence + 1, second.Sequence);
    }

    [Fact]
    public async Task Own_headers_and_cloud_events_attributes_arrive()
    {
        var subject = fixture.NewSubject();
        var request = PublishFixture.Event(subject);
        request.Headers.Add(new Header { Name = "X-Tenant", Value = "blue" });
        request.Headers.Add(new Header { Name = "ce-type", Value = "order.created" });
        request.Headers.Add(new Header { Name = "CE-Source", Value = "/shop" });
        request.Headers.Add(new Header { Name = "ce-subject", Value = "order/5" });

        await fixture.Client.PublishAsync(request);

        var message = Assert.Single(await fixture.StoredAsync(subject));
        Assert.Equal("blue", Header(message, "X-Tenant"));
        Assert.Equal("order.created", Header(message, EventHeaders.CloudEventType));
        Assert.Equal("/shop", Header(message, EventHeaders.CloudEventSource));
        Assert.Equal("order/5", Header(message, "ce-subject"));
    }

    [Fact]
    public async Task The_trace_of_the_call_goes_on_in_the_event()
    {
        var subject = fixture.NewSubject();
        const string Trace = "0af7651916cd43dd8448eb211c80319c";

        await fixture.Client.PublishAsync(PublishFixture.Event(subject), new Metadata { { "traceparent", $"00-{Trace}-b7ad6b7169203331-01" } });

        var message = Assert.Single(await fixture.StoredAsync(subject));
        Assert.StartsWith($"00-{Trace}-", Header(message, EventHeaders.TraceParent), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_same_id_and_body_is_stored_once_and_answered_with_the_first_place()
    {
        var (id, _, subject) = await fixture.NewWebhookAsync();
        var first = await fixture.Client.PublishAsync(PublishFixture.Event(id, """{"n":1}""", "order-1"));

        var repeats = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => fixture.Client.PublishAsync(PublishFixture.Event(id, """{"n":1}""", "order-1")).ResponseAsync));

        Assert.All(repeats, repeat => Assert.True(repeat.Duplicate));
        Assert.All(repeats, repeat => Assert.Equal((first.Stream, first.Sequence), (repeat.Stream, repeat.Sequence)));
        Assert.Single(await fixture.StoredAsync(subject));
    }

    [Fact]
    public async Task The_same_id_published_from_many_at_once_is_stored_once()
    {
        var subject = fixture.NewSubject();
        var ids = Enumerable.Range(0, 100).Select(number => $"race-{number}").ToArray();

        var answers = await Task.WhenAll(ids.SelectMany(id => Enumerable.Range(0, 5).Select(_ => fixture.Client.PublishAsync(PublishFixture.Event(subject, "1", id)).ResponseAsync)));

        Assert.Equal(100, (await fixture.StoredAsync(subject)).Count);
        Assert.Equal(100, answers.Count(answer => !answer.Duplicate));
        Assert.All(answers.GroupBy(answer => answer.MessageId), group => Assert.Single(group.Select(answer => answer.Sequence).Distinct()));
    }

    [Fact]
    public async Task The_same_id_with_another_body_is_refused_and_the_stored_event_unchanged()
    {
        var (id, _, subject) = await fixture.NewWebhookAsync();
        await fixture.Client.PublishAsync(PublishFixture.Event(id, """{"n":1}""", "order-2"));

        var refusal = await fixture.RefusedAsync(PublishFixture.Event(id, """{"n":2}""", "order-2"));

        Assert.Equal((StatusCode.AlreadyExists, "MESSAGE_ID_REUSED"), (refusal.Code, refusal.Reason));
        Assert.Equal(["message_id"], refusal.Fields);
        Assert.Equal("""{"n":1}""", PublishFixture.Text(Assert.Single(await fixture.StoredAsync(subject))));
    }

    [Fact]
    public async Task The_same_id_with_another_body_is_refused_by_subject_too()
    {
        var subject = fixture.NewSubject();
        await fixture.Client.PublishAsync(PublishFixture.Event(subject, "1", "same"));

        Assert.Equal("MESSAGE_ID_REUSED", (await fixture.RefusedAsync(PublishFixture.Event(subject, "2", "same"))).Reason);
    }

    [Fact]
    public async Task The_same_id_on_two_webhooks_is_stored_for_both()
    {
        var one = await fixture.NewWebhookAsync();
        var other = await fixture.NewWebhookAsync();

        var first = await fixture.Client.PublishAsync(PublishFixture.Event(one.Id, "1", "shared"));
        var second = await fixture.Client.PublishAsync(PublishFixture.Event(other.Id, "1", "shared"));

        Assert.False(first.Duplicate);
        Assert.False(second.Duplicate);
        Assert.Single(await fixture.StoredAsync(one.Subject));
        Assert.Single(await fixture.StoredAsync(other.Subject));
    }

    [Fact]
    public async Task An_id_is_remembered_beyond_the_streams_duplicate_window()
    {
        // A stream that forgets ids after 100 ms stands for one that forgot them after two minutes.
        await fixture.CreateStreamAsync("FORGETFUL", "forgetful.>");
        await new NatsJSContext(fixture.NatsClient).UpdateStreamAsync(
            new NATS.Client.JetStream.Models.StreamConfig("FORGETFUL", ["forgetful.>"]) { DuplicateWindow = TimeSpan.FromMilliseconds(100) });
        await fixture.ExecuteAsync("INSERT INTO rule_nats_streams (config_id, stream_name, subjects) SELECT config_id, 'FORGETFUL', '{forgetful.>}' FROM rule_nats_config WHERE config_name = 'default'");
        var (id, _, subject) = await fixture.NewWebhookAsync(subject: "forgetful.a");
        var first = await fixture.Client.PublishAsync(PublishFixture.Event(id, "1", "old"));
        await Wait.UntilAsync(
            async () => await fixture.ScalarAsync<long>("SELECT count(*) FROM rule_nats_message_keys WHERE webhook_id = $1", id) == 1, "the key is written");
        await Wait.UntilAsync(
            async () => !(await fixture.Client.PublishAsync(PublishFixture.Event("forgetful.b", "1", "window"))).Duplicate
                && (await fixture.StoredAsync("forgetful.b", "FORGETFUL")).Count > 1,
            "the stream has forgotten an id");

        var repeat = await fixture.Client.PublishAsync(PublishFixture.Event(id, "1", "old"));
        var other = await fixture.RefusedAsync(PublishFixture.Event(id, "2", "old"));

        Assert.True(repeat.Duplicate);
        Assert.Equal(first.Sequence, repeat.Sequence);
        Assert.Equal(StatusCode.AlreadyExists, other.Code);
        Assert.Single(await fixture.StoredAsync(subject, "FORGETFUL"));
    }

    [Fact]
    public async Task Without_a_deadline_the_call_still_ends()
    {
        var subject = fixture.NewSubject();
        fixture.Nats.Pause();
        try
        {
            var exception = await Assert.ThrowsAsync<RpcException>(async () => await fixture.Client.PublishAsync(PublishFixture.Event(subject, "1", "paused")));
            var refusal = Refusal.Of(exception);
            Assert.Equal((StatusCode.Unavailable, "OUTCOME_UNKNOWN"), (refusal.Code, refusal.Reason));
            Assert.Equal("paused", refusal.Metadata["message_id"]);
        }
        finally
        {
            fixture.Nats.Resume();
        }

        await Wait.UntilAsync(async () => (await fixture.StoredAsync(subject)).Count == 1, "the event that was on its way is stored");
        var repeat = await fixture.Client.PublishAsync(PublishFixture.Event(subject, "1", "paused"), deadline: PublishFixture.Deadline());
        Assert.True(repeat.Duplicate);
        Assert.Single(await fixture.StoredAsync(subject));
    }

    private static string? Header(INatsJSMsg<byte[]> message, string name)
        => message.Headers is { } headers && headers.TryGetLastValue(name, out var value) ? value : null;
}
