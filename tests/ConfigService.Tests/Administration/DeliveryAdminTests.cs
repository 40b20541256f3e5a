using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Grpc.Core;
using Grpc.Net.Client;
using RuleEngineNats.Contracts.Administration;

namespace RuleEngineNats.ConfigService.Tests.Administration;

[Collection(nameof(RunningService))]
[Trait("Category", "Servers")]
public sealed class DeliveryAdminTests(RunningService service) : IDisposable
{
    private readonly GrpcChannel _channel = GrpcChannel.ForAddress(service.Service.GrpcUrl);

    private DeliveryAdmin.DeliveryAdminClient Client => new(_channel);

    public void Dispose() => _channel.Dispose();

    [Fact]
    public async Task Dead_letters_are_listed_shown_redriven_and_discarded()
    {
        var (id, name, _) = await service.RegisterAsync();
        var calls = await service.FailAsync(id, 6);
        var filter = new DeadLetterFilter { ResponseStatus = 500, Subject = "events.*", Error = "HTTP 500", From = Timestamp.FromDateTimeOffset(DateTimeOffset.UnixEpoch) };

        var page = await Client.ListDeadLettersAsync(new() { WebhookId = id, Filter = filter, Limit = 4 });
        Assert.Equal(calls[3], page.Next);
        Assert.Equal(calls[..4], page.DeadLetters.Select(letter => letter.CallId));
        page = await Client.ListDeadLettersAsync(new() { WebhookId = id, After = page.Next });
        Assert.Equal(0, page.Next);
        Assert.Equal(calls[4..], page.DeadLetters.Select(letter => letter.CallId));

        var shown = await Client.GetDeadLetterAsync(new() { CallId = calls[0] });
        Assert.Equal((name, 3, 500, """{"n": 1}"""), (shown.DeadLetter.WebhookName, shown.DeadLetter.AttemptsMade, shown.DeadLetter.ResponseStatus, shown.Payload));
        Assert.Equal("failed", Assert.Single(shown.Attempts).Outcome);

        await Client.RedriveAsync(new() { CallId = calls[0] });
        Refused(StatusCode.FailedPrecondition, "CONFLICT", await Assert.ThrowsAsync<RpcException>(async () => await Client.RedriveAsync(new() { CallId = calls[0] })));
        await Client.DiscardAsync(new() { CallId = calls[1] });
        Refused(StatusCode.NotFound, "NOT_FOUND", await Assert.ThrowsAsync<RpcException>(async () => await Client.DiscardAsync(new() { CallId = calls[1] })));
        Assert.Equal(2, (await Client.RedriveAllAsync(new() { WebhookId = id, Filter = filter, Limit = 2 })).Count);
        Assert.Equal(2, (await Client.DiscardAllAsync(new() { WebhookId = id })).Count);
    }

    [Fact]
    public async Task A_replay_is_started_watched_and_cancelled()
    {
        var (id, _, _) = await service.RegisterAsync();
        await service.PostAsync($"/api/v1/webhooks/{id}/enable-nats", null);
        var started = await Client.StartReplayAsync(new() { WebhookId = id, Status = { "failed" }, Rate = 10, DryRun = true });
        Assert.Equal(("requested", 10, true), (started.State, started.Rate, started.DryRun));
        Assert.Equal(started, await Client.GetReplayAsync(new() { ReplayId = started.ReplayId }));

        using var watch = Client.WatchReplay(new() { ReplayId = started.ReplayId });
        Assert.True(await watch.ResponseStream.MoveNext(default));
        Assert.Equal("requested", watch.ResponseStream.Current.State);
        Assert.Equal("cancelled", (await Client.CancelReplayAsync(new() { ReplayId = started.ReplayId })).State);
        Assert.True(await watch.ResponseStream.MoveNext(default));
        Assert.Equal("cancelled", watch.ResponseStream.Current.State);
        Assert.False(await watch.ResponseStream.MoveNext(default));
        Refused(StatusCode.FailedPrecondition, "CONFLICT", await Assert.ThrowsAsync<RpcException>(async () => await Client.CancelReplayAsync(new() { ReplayId = started.ReplayId })));
        var listed = await Client.ListReplaysAsync(new() { WebhookId = id });
        Assert.Equal(started.ReplayId, Assert.Single(listed.Replays).ReplayId);
    }

    [Fact]
    public async Task What_is_wrong_is_a_status_with_the_fields_that_are()
    {
        var (id, _, _) = await service.RegisterAsync();
        Refused(StatusCode.NotFound, "NOT_FOUND", await Assert.ThrowsAsync<RpcException>(async () => await Client.GetDeadLetterAsync(new() { CallId = long.MaxValue })));
        Refused(StatusCode.NotFound, "NOT_FOUND", await Assert.ThrowsAsync<RpcException>(async () => await Client.GetReplayAsync(new() { ReplayId = long.MaxValue })));
        Refused(StatusCode.NotFound, "NOT_FOUND", await Assert.ThrowsAsync<RpcException>(async () => await Client.StartReplayAsync(new() { WebhookId = int.MaxValue })));
        Refused(StatusCode.NotFound, "NOT_FOUND", await Assert.ThrowsAsync<RpcException>(async () => await Client.RedriveAllAsync(new() { WebhookId = int.MaxValue })));
        Refused(StatusCode.FailedPrecondition, "CONFLICT", await Assert.ThrowsAsync<RpcException>(async () => await Client.StartReplayAsync(new() { WebhookId = id })));
        Refused(StatusCode.InvalidArgument, "INVALID_VALUE", await Assert.ThrowsAsync<RpcException>(async () => await Client.StartReplayAsync(new() { WebhookId = id, FromSequence = -1 })), "from_sequence");
        Refused(StatusCode.InvalidArgument, "OUT_OF_RANGE", await Assert.ThrowsAsync<RpcException>(async () => await Client.StartReplayAsync(new() { WebhookId = id, Rate = -1 })), "rate");
        Refused(
            StatusCode.InvalidArgument, "VALIDATION_FAILED", await Assert.ThrowsAsync<RpcException>(async () => await Client.ListDeadLettersAsync(
                new() { Limit = 1001, Filter = new() { Subject = "a..b", ResponseStatus = 99 } })), "response_status", "subject", "limit");
        using var watch = Client.WatchReplay(new() { ReplayId = long.MaxValue });
        Refused(StatusCode.NotFound, "NOT_FOUND", await Assert.ThrowsAsync<RpcException>(() => watch.ResponseStream.MoveNext(default)));
    }

    private static void Refused(StatusCode code, string reason, RpcException refused, params string[] fields)
    {
        Assert.True(refused.StatusCode == code, refused.Status.ToString());
        var status = Contracts.Rpc.Status.Parser.ParseFrom(refused.Trailers.GetValueBytes("grpc-status-details-bin"));
        Assert.Equal(("ruleengine", reason), (status.Details[0].Unpack<ErrorInfo>().Domain, status.Details[0].Unpack<ErrorInfo>().Type));
        if (fields.Length > 0)
        {
            Assert.Equal(fields, status.Details[1].Unpack<BadRequest>().FieldViolations.Select(violation => violation.Field));
        }
    }
}
