using System.Globalization;
using Grpc.Core;
using RuleEngineNats.Contracts.Publishing;
using Xunit;

namespace RuleEngineNats.PublishService.Tests;

[Trait("Category", "Servers")]
public sealed class PublishManyTests(PublishFixture fixture) : IClassFixture<PublishFixture>
{
    [Fact]
    public async Task A_batch_tells_the_truth_per_item()
    {
        await fixture.ExecuteAsync("INSERT INTO rule_nats_streams (config_id, stream_name, subjects) SELECT config_id, 'ABSENT', '{absent.>}' FROM rule_nats_config WHERE config_name = 'default'");
        var subject = fixture.NewSubject();
        var request = new PublishBatchRequest();
        for (var item = 0; item < 100; item++)
        {
            request.Items.Add((item % 10) switch
            {
                3 => PublishFixture.Event(subject, "not json"),
                5 => PublishFixture.Event("absent.a"),
                7 => PublishFixture.Event("a..b"),
                9 => PublishFixture.Event(subject, "\"" + new string('x', 300_000 / 20) + "\u0000\""),
                _ => PublishFixture.Event(subject, item.ToString(CultureInfo.InvariantCulture), $"item-{item}"),
            });
        }

        var response = await fixture.Client.PublishBatchAsync(request, deadline: PublishFixture.Deadline());

        Assert.Equal((60, 40), (response.Stored, response.Failed));
        Assert.Equal(Enumerable.Range(0, 100).Select(index => (ulong)index), response.Results.Select(result => result.Index));
        var stored = (await fixture.StoredAsync(subject)).ToDictionary(message => message.Metadata!.Value.Sequence.Stream, PublishFixture.Text);
        Assert.Equal(60, stored.Count);
        foreach (var result in response.Results)
        {
            switch (result.Index % 10)
            {
                case 3 or 9:
                    Assert.Equal("PAYLOAD_INVALID", Refusal.Of(result.Error).Reason);
                    break;
                case 5:
                    Assert.Equal("STREAM_MISSING", Refusal.Of(result.Error).Reason);
                    break;
                case 7:
                    Assert.Equal("SUBJECT_INVALID", Refusal.Of(result.Error).Reason);
                    break;
                default:
                    Assert.Equal(result.Index.ToString(CultureInfo.InvariantCulture), stored[result.Stored.Sequence]);
                    break;
            }
        }
    }

    [Fact]
    public async Task A_batch_is_stored_in_its_order()
    {
        var subject = fixture.NewSubject();
        var request = new PublishBatchRequest { Items = { Enumerable.Range(0, 500).Select(item => PublishFixture.Event(subject, $"{item}")) } };

        await fixture.Client.PublishBatchAsync(request, deadline: PublishFixture.Deadline());

        Assert.Equal(Enumerable.Range(0, 500).Select(item => $"{item}"), (await fixture.StoredAsync(subject)).Select(PublishFixture.Text));
    }

    [Fact]
    public async Task An_empty_batch_and_one_of_501_items_are_refused()
    {
        var empty = await Assert.ThrowsAsync<RpcException>(async () => await fixture.Client.PublishBatchAsync(new PublishBatchRequest()));
        var large = await Assert.ThrowsAsync<RpcException>(async () => await fixture.Client.PublishBatchAsync(
            new PublishBatchRequest { Items = { Enumerable.Range(0, 501).Select(_ => PublishFixture.Event("events.a")) } }));

        Assert.Equal((StatusCode.InvalidArgument, "BATCH_EMPTY"), (empty.StatusCode, Refusal.Of(empty).Reason));
        Assert.Equal((StatusCode.ResourceExhausted, "BATCH_TOO_LARGE"), (large.StatusCode, Refusal.Of(large).Reason));
    }

    [Fact]
    public async Task A_stream_is_stored_and_answered_in_its_order()
    {
        var subject = fixture.NewSubject();
        using var call = fixture.Client.PublishStream();
        var answers = ReadAsync(call);
        for (var item = 0; item < 3000; item++)
        {
            await call.RequestStream.WriteAsync(PublishFixture.Event(subject, $"{item}", $"s-{item}"));
        }

        await call.RequestStream.CompleteAsync();

        var results = await answers;
        Assert.Equal(Enumerable.Range(0, 3000).Select(index => (ulong)index), results.Select(result => result.Index));
        Assert.Equal(Enumerable.Range(0, 3000).Select(item => $"s-{item}"), results.Select(result => result.Stored.MessageId));
        var stored = await fixture.StoredAsync(subject);
        Assert.Equal(Enumerable.Range(0, 3000).Select(item => $"{item}"), stored.Select(PublishFixture.Text));
        Assert.Equal(stored.Select(message => message.Metadata!.Value.Sequence.Stream), results.Select(result => result.Stored.Sequence));
    }

    [Fact]
    public async Task A_stream_by_webhook_with_ids_keeps_its_order_through_the_key_look_ups()
    {
        var (id, _, subject) = await fixture.NewWebhookAsync();
        using var call = fixture.Client.PublishStream();
        var answers = ReadAsync(call);
        for (var item = 0; item < 1000; item++)
        {
            await call.RequestStream.WriteAsync(PublishFixture.Event(id, $"{item}", $"k-{item}"));
        }

        await call.RequestStream.CompleteAsync();

        Assert.All(await answers, result => Assert.Equal(PublishResult.OutcomeOneofCase.Stored, result.OutcomeCase));
        Assert.Equal(Enumerable.Range(0, 1000).Select(item => $"{item}"), (await fixture.StoredAsync(subject)).Select(PublishFixture.Text));
    }

    [Fact]
    public async Task A_refused_event_ends_no_stream()
    {
        var subject = fixture.NewSubject();
        using var call = fixture.Client.PublishStream();
        var answers = ReadAsync(call);
        await call.RequestStream.WriteAsync(PublishFixture.Event(subject, "1", "first"));
        await call.RequestStream.WriteAsync(PublishFixture.Event("a b"));
        await call.RequestStream.WriteAsync(PublishFixture.Event(int.MaxValue));
        await call.RequestStream.WriteAsync(PublishFixture.Event(subject, "2", "first"));
        await call.RequestStream.WriteAsync(PublishFixture.Event(subject, "3"));
        await call.RequestStream.CompleteAsync();

        var results = await answers;

        Assert.Equal(5, results.Count);
        Assert.Equal(["SUBJECT_INVALID", "WEBHOOK_NOT_FOUND", "MESSAGE_ID_REUSED"], results.Skip(1).Take(3).Select(result => Refusal.Of(result.Error).Reason));
        Assert.Equal(["1", "3"], (await fixture.StoredAsync(subject)).Select(PublishFixture.Text));
    }

    [Fact]
    public async Task A_client_that_goes_away_keeps_what_was_stored_and_its_repeat_is_a_duplicate()
    {
        var subject = fixture.NewSubject();
        using (var call = fixture.Client.PublishStream())
        {
            for (var item = 0; item < 100; item++)
            {
                await call.RequestStream.WriteAsync(PublishFixture.Event(subject, $"{item}", $"gone-{item}"));
            }

            await call.ResponseStream.MoveNext(CancellationToken.None);
        }

        var request = new PublishBatchRequest { Items = { Enumerable.Range(0, 100).Select(item => PublishFixture.Event(subject, $"{item}", $"gone-{item}")) } };
        var response = await fixture.Client.PublishBatchAsync(request, deadline: PublishFixture.Deadline());

        Assert.Equal(100, response.Stored);
        Assert.True(response.Results[0].Stored.Duplicate);
        Assert.Equal(100, (await fixture.StoredAsync(subject)).Count);
    }

    internal static async Task<List<PublishResult>> ReadAsync(AsyncDuplexStreamingCall<PublishRequest, PublishResult> call)
    {
        var results = new List<PublishResult>();
        await foreach (var result in call.ResponseStream.ReadAllAsync())
        {
            results.Add(result);
        }

        return results;
    }
}
