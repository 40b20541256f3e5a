using Grpc.Core;
using Npgsql;
using RuleEngineNats.ConfigService.DeadLetters;
using RuleEngineNats.Contracts.Administration;
using RuleEngineNats.Problems;
using Answer = RuleEngineNats.Contracts.Administration.Replay;

namespace RuleEngineNats.ConfigService.Administration;

/// <summary>The gRPC edge of dead letters and replays: the same slices as over REST.</summary>
internal sealed class DeliveryAdminService(NpgsqlDataSource rules, TimeProvider time) : DeliveryAdmin.DeliveryAdminBase
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);

    public override async Task<ListDeadLettersResponse> ListDeadLetters(ListDeadLettersRequest request, ServerCallContext context)
    {
        var problems = new FieldProblems();
        var filter = AdminMessages.Filter(request.Filter, 0, problems);
        problems.Range("webhookId", request.WebhookId, 0, int.MaxValue);
        problems.Range("limit", request.Limit, 0, DeadLetters.ListDeadLetters.MaxLimit);
        problems.Range("after", request.After, 0, long.MaxValue);
        Refuse(problems);
        var page = await DeadLetters.ListDeadLetters.RunAsync(
            rules, request.WebhookId is 0 ? null : request.WebhookId, filter, request.After,
            request.Limit is 0 ? DeadLetters.ListDeadLetters.DefaultLimit : request.Limit, context.CancellationToken);
        return new() { DeadLetters = { page.Items.Select(AdminMessages.Of) }, Next = page.Next ?? 0 };
    }

    public override async Task<GetDeadLetterResponse> GetDeadLetter(GetDeadLetterRequest request, ServerCallContext context)
        => AdminMessages.Of(await DeadLetters.GetDeadLetter.RunAsync(rules, request.CallId, context.CancellationToken));

    public override async Task<RedriveResponse> Redrive(RedriveRequest request, ServerCallContext context)
        => await RedriveDeadLetters.RunAsync(rules, request.CallId, context.CancellationToken) ? new() : throw AdminStatus.Exception(CallIds.NotDead(request.CallId));

    public override async Task<RedriveAllResponse> RedriveAll(RedriveAllRequest request, ServerCallContext context)
        => new() { Count = await RedriveDeadLetters.RunAllAsync(rules, request.WebhookId, Filter(request.Filter, request.Limit), context.CancellationToken) };

    public override async Task<DiscardResponse> Discard(DiscardRequest request, ServerCallContext context)
        => await DiscardDeadLetters.RunAsync(rules, request.CallId, context.CancellationToken) ? new() : throw AdminStatus.Exception(CallIds.NotDead(request.CallId));

    public override async Task<DiscardAllResponse> DiscardAll(DiscardAllRequest request, ServerCallContext context)
        => new() { Count = await DiscardDeadLetters.RunAllAsync(rules, request.WebhookId, Filter(request.Filter, request.Limit), context.CancellationToken) };

    public override async Task<Answer> StartReplay(StartReplayRequest request, ServerCallContext context)
    {
        var problems = new FieldProblems();
        problems.Range("rate", request.Rate is 0 ? null : request.Rate, 0.01, 100_000);
        Refuse(problems);
        return AdminMessages.Of(await Replays.StartReplay.RunAsync(rules, request.WebhookId, AdminMessages.Of(request), context.CancellationToken));
    }

    public override async Task<Answer> GetReplay(GetReplayRequest request, ServerCallContext context)
        => AdminMessages.Of(await Replays.Replay.ReadAsync(rules, request.ReplayId, context.CancellationToken));

    public override async Task<ListReplaysResponse> ListReplays(ListReplaysRequest request, ServerCallContext context)
    {
        var problems = new FieldProblems();
        problems.Range("webhookId", request.WebhookId, 0, int.MaxValue);
        problems.Range("limit", request.Limit, 0, Replays.ListReplays.MaxLimit);
        problems.Range("before", request.Before, 0, long.MaxValue);
        Refuse(problems);
        var page = await Replays.ListReplays.RunAsync(
            rules, request.WebhookId is 0 ? null : request.WebhookId, request.Before is 0 ? null : request.Before,
            request.Limit is 0 ? Replays.ListReplays.DefaultLimit : request.Limit, context.CancellationToken);
        return new() { Replays = { page.Items.Select(AdminMessages.Of) }, Next = page.Next ?? 0 };
    }

    public override async Task WatchReplay(GetReplayRequest request, IServerStreamWriter<Answer> responseStream, ServerCallContext context)
    {
        Answer? last = null;
        while (true)
        {
            var now = await GetReplay(request, context);
            if (!now.Equals(last))
            {
                await responseStream.WriteAsync(now, context.CancellationToken);
                last = now;
            }

            if (now.State is "done" or "cancelled" or "failed")
            {
                return;
            }

            await Task.Delay(LookEvery, time, context.CancellationToken);
        }
    }

    public override async Task<Answer> CancelReplay(CancelReplayRequest request, ServerCallContext context)
        => await Replays.CancelReplay.RunAsync(rules, request.ReplayId, context.CancellationToken)
            ? AdminMessages.Of(await Replays.Replay.ReadAsync(rules, request.ReplayId, context.CancellationToken))
            : throw AdminStatus.Exception(Replays.CancelReplay.HadEnded(request.ReplayId));

    private static DeadLetters.DeadLetterFilter Filter(Contracts.Administration.DeadLetterFilter? given, int limit)
    {
        var problems = new FieldProblems();
        var filter = AdminMessages.Filter(given, limit, problems);
        Refuse(problems);
        return filter;
    }

    private static void Refuse(FieldProblems problems)
    {
        if (problems.ToProblem() is { } problem)
        {
            throw AdminStatus.Exception(problem);
        }
    }
}
