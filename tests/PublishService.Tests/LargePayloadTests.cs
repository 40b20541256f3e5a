using System.Text;
using Grpc.Core;
using Grpc.Net.Client;
using NATS.Client.JetStream;
using RuleEngineNats.Contracts.Publishing;
using RuleEngineNats.TestKit;
using Xunit;
using PublishApi = RuleEngineNats.Contracts.Publishing.PublishService;

namespace RuleEngineNats.PublishService.Tests;

/// <summary>Payloads that are too large for a message.</summary>
[Trait("Category", "Servers")]
public sealed class LargePayloadTests(PublishFixture fixture) : IClassFixture<PublishFixture>, IAsyncLifetime
{
    private const int Limit = 16 * 1024 * 1024; // The default.

    private readonly NatsJSContext _context = new(fixture.NatsClient);

    public async Task InitializeAsync() => await PayloadBucket.CreateAsync(_context);

    public async Task DisposeAsync() => await _context.DeleteStreamAsync($"OBJ_{PayloadBucket.Name}");

    [Fact]
    public async Task Eight_mebibytes_are_stored_once_as_an_object_and_are_in_the_history_byte_for_byte()
    {
        var (webhook, _, subject) = await fixture.NewWebhookAsync("deduplicate_for = NULL");
        var payload = PayloadBucket.Json(8 * 1024 * 1024);

        var first = await PublishAsync(PublishFixture.Event(webhook, payload, "large"));
        var second = await PublishAsync(PublishFixture.Event(webhook, payload, "large"));

        Assert.False(first.Duplicate);
        Assert.Equal((true, first.Sequence), (second.Duplicate, second.Sequence));
        var message = Assert.Single(await fixture.StoredAsync(subject));
        Assert.Empty(message.Data ?? []);
        var body = Encoding.UTF8.GetBytes(payload);
        Assert.All(PayloadBucket.Headers(body), header => Assert.Equal(header.Value, message.Headers![header.Name].ToString()));
        Assert.True((await (await PayloadBucket.OpenAsync(_context)).GetBytesAsync(PayloadBucket.Sha256(body))).AsSpan().SequenceEqual(body));
        Assert.Equal(1, await PayloadBucket.CountAsync(_context));
        await Wait.UntilAsync(
            () => fixture.ScalarAsync<bool>("SELECT bool_and(body = $2) FROM rule_nats_publish_history WHERE webhook_id = $1 AND state = 'stored'", webhook, body),
            "the history has the bytes");

        var refusal = await fixture.RefusedAsync(PublishFixture.Event(webhook, payload.Replace("1.50", "1.51", StringComparison.Ordinal), "large"));
        Assert.Equal("MESSAGE_ID_REUSED", refusal.Reason);
    }

    [Fact]
    public async Task A_stream_of_large_and_small_events_keeps_its_order()
    {
        var subject = fixture.NewSubject();
        using var call = fixture.Client.PublishStream(deadline: PublishFixture.Deadline());
        foreach (var size in new[] { 100, 1_000_000, 100, 600_000, 100 })
        {
            await call.RequestStream.WriteAsync(PublishFixture.Event(subject, PayloadBucket.Json(size)));
        }

        await call.RequestStream.CompleteAsync();
        var sequences = new List<ulong>();
        await foreach (var result in call.ResponseStream.ReadAllAsync())
        {
            sequences.Add(result.Stored.Sequence);
        }

        Assert.Equal(sequences.Order(), sequences);
        Assert.Equal([false, true, false, true, false], (await fixture.StoredAsync(subject)).Select(message => message.Headers!.ContainsKey("rule-object")));
    }

    [Fact]
    public async Task One_byte_above_the_limit_is_refused_by_field_and_limit_and_the_limit_itself_is_taken_also_with_the_history_first()
    {
        var payload = PayloadBucket.Json(Limit);
        var refusal = await fixture.RefusedAsync(PublishFixture.Event(fixture.NewSubject(), payload + " "));

        Assert.Equal((StatusCode.ResourceExhausted, "PAYLOAD_TOO_LARGE"), (refusal.Code, refusal.Reason));
        Assert.Equal(["payload"], refusal.Fields);
        Assert.Equal(
            $"payload: {Limit + 1} bytes, at most {Limit} at byte {Limit}; publish a reference to the data, or raise Messaging:MaxBodyBytes", refusal.Message);
        var request = PublishFixture.Event((await fixture.NewWebhookAsync()).Id, payload, "first");
        request.Durability = Durability.History;
        Assert.False((await PublishAsync(request)).Duplicate);
    }

    [Fact]
    public async Task A_limit_of_64_MiB_is_the_most_and_is_taken_beyond_what_kestrel_takes_by_default()
    {
        await using (var refused = await fixture.StartServiceAsync(new() { ["Messaging__MaxBodyBytes"] = "67108865" }, waitUntilReady: false))
        {
            await refused.SaysAsync("MaxBodyBytes must be between 1024 and 67108864");
        }

        await using var service = await fixture.StartServiceAsync(new() { ["Messaging__MaxBodyBytes"] = "67108864" });
        using var channel = GrpcChannel.ForAddress(service.GrpcUrl);
        var answer = await new PublishApi.PublishServiceClient(channel).PublishAsync(
            PublishFixture.Event(fixture.NewSubject(), PayloadBucket.Json(40 * 1024 * 1024)), deadline: PublishFixture.Deadline());
        Assert.True(answer.Sequence > 0);
    }

    private async Task<PublishResponse> PublishAsync(PublishRequest request) => await fixture.Client.PublishAsync(request, deadline: PublishFixture.Deadline());
}
