using System.Globalization;
using Grpc.Core;
using Grpc.Net.Client;
using RuleEngineNats.TestKit;
using Xunit;
using PublishApi = RuleEngineNats.Contracts.Publishing.PublishService;

namespace RuleEngineNats.PublishService.Tests;

/// <summary>I5: nobody is told that an event is stored, nor does the history say so, without the stream and a sequence of at least 1.</summary>
[Trait("Category", "Servers")]
public sealed class AcknowledgementTests(PublishFixture fixture) : IClassFixture<PublishFixture>
{
    [Fact]
    public async Task I5_acknowledgements_that_are_cut_off_leave_every_answer_and_the_history_true()
    {
        const int Events = 300;
        await using var proxy = TcpProxy.Before(fixture.Nats);
        await using var service = await StartAsync(proxy);
        using var channel = GrpcChannel.ForAddress(service.GrpcUrl);
        var client = new PublishApi.PublishServiceClient(channel);
        var subject = fixture.NewSubject();
        var cut = new PubAcks();
        proxy.Answer(cut.CutEvery(25));
        var unknown = 0;
        for (var number = 0; number < Events; number++)
        {
            var item = PublishFixture.Event(subject, number.ToString(CultureInfo.InvariantCulture), $"cut-{number}");
            try
            {
                Assert.True((await client.PublishAsync(item, deadline: PublishFixture.Deadline())).Sequence >= 1);
            }
            catch (RpcException e)
            {
                unknown++;
                Assert.Contains(Refusal.Of(e).Reason, (string[])["OUTCOME_UNKNOWN", "NATS_UNAVAILABLE"]);
                proxy.AnswerUnchanged();
                Assert.True((await client.PublishAsync(item, deadline: PublishFixture.Deadline())).Sequence >= 1);
                proxy.Answer(cut.CutEvery(25));
            }
        }

        Assert.True(cut.Harmed >= 5, $"{cut.Harmed} cuts and {unknown} unknown outcomes");
        await HistoryIsTheStreamAsync(subject, Events);
    }

    [Fact]
    public async Task I5_an_acknowledgement_with_sequence_0_is_no_success()
    {
        await using var proxy = TcpProxy.Before(fixture.Nats);
        // Every attempt is repeated until the time for a call is over.
        await using var service = await StartAsync(proxy, maxDeadline: "00:00:05");
        using var channel = GrpcChannel.ForAddress(service.GrpcUrl);
        var client = new PublishApi.PublishServiceClient(channel);
        var subject = fixture.NewSubject();
        var zero = new PubAcks();
        proxy.Answer(zero.SayZero());

        var refused = await Assert.ThrowsAsync<RpcException>(
            async () => await client.PublishAsync(PublishFixture.Event(subject, "1", "zero"), deadline: PublishFixture.Deadline()));

        Assert.True(zero.Harmed > 0);
        Assert.Equal(StatusCode.Unavailable, refused.StatusCode);
        Assert.Equal(0, await fixture.ScalarAsync<long>("SELECT count(*) FROM rule_nats_publish_history WHERE subject = $1 AND success", subject));
        proxy.AnswerUnchanged();
        Assert.True((await client.PublishAsync(PublishFixture.Event(subject, "1", "zero"), deadline: PublishFixture.Deadline())).Sequence >= 1);
        await HistoryIsTheStreamAsync(subject, 1);
    }

    private async Task<ServiceProcess> StartAsync(TcpProxy proxy, string maxDeadline = "00:00:30") => await ServiceProcess.StartAsync("PublishService", new Dictionary<string, string?>
    {
        ["ConnectionStrings__rules"] = fixture.ConnectionString,
        ["ConnectionStrings__nats"] = proxy.Url,
        ["Messaging__AckTimeout"] = "00:00:00.500",
        ["Messaging__PublishBudget"] = "00:00:02",
        ["Publish__MaxDeadline"] = maxDeadline,
    });

    private async Task HistoryIsTheStreamAsync(string subject, int events)
    {
        var sequences = (await fixture.StoredAsync(subject)).Select(message => (long)message.Metadata!.Value.Sequence.Stream).ToArray();
        Assert.Equal(events, sequences.Length);
        await Wait.UntilAsync(
            async () => await fixture.ScalarAsync<bool>("""
                SELECT count(DISTINCT sequence_number) = cardinality($2::bigint[]) AND bool_and(success AND stream_name = 'WEBHOOKS' AND sequence_number = ANY ($2))
                  FROM rule_nats_publish_history WHERE subject = $1
                """, subject, sequences),
            "the history has each event at its place and nothing else");
    }
}
