using Grpc.Core;
using Microsoft.Extensions.Options;
using RuleEngineNats.Contracts.Publishing;
using RuleEngineNats.Messaging;
using RuleEngineNats.PublishService.Errors;
using RuleEngineNats.PublishService.Pool;
using PublishApi = RuleEngineNats.Contracts.Publishing.PublishService;

namespace RuleEngineNats.PublishService.Publishing;

/// <summary>The gRPC edge: deadlines in, statuses out.</summary>
internal sealed class PublishGrpcService(
    PublishEvent publish, PublishEvents stream, NatsConnections connections, IOptions<PublishOptions> options, TimeProvider time)
    : PublishApi.PublishServiceBase
{
    // Time kept back so that the client gets our answer and not its own deadline: a twentieth, within these bounds.
    private static readonly TimeSpan LeastAnswerTime = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan MostAnswerTime = TimeSpan.FromSeconds(1);

    public override async Task<PublishResponse> Publish(PublishRequest request, ServerCallContext context)
    {
        var prepared = await publish.PrepareAsync(request, context.CancellationToken);
        var verdict = await publish.SendAsync(prepared, Budget(context), null);
        return verdict is PublishVerdict.Stored stored ? stored.Response : throw PublishStatus.Exception(verdict);
    }

    public override async Task<PublishBatchResponse> PublishBatch(PublishBatchRequest request, ServerCallContext context)
    {
        if (request.Items.Count == 0 || request.Items.Count > options.Value.BatchSize)
        {
            throw PublishStatus.BadBatch(request.Items.Count, options.Value.BatchSize);
        }

        var results = await stream.PublishAllAsync(request.Items, Budget(context), context.CancellationToken);
        var response = new PublishBatchResponse { Results = { results } };
        response.Stored = results.Count(result => result.OutcomeCase == PublishResult.OutcomeOneofCase.Stored);
        response.Failed = results.Length - response.Stored;
        return response;
    }

    public override Task PublishStream(
        IAsyncStreamReader<PublishRequest> requestStream, IServerStreamWriter<PublishResult> responseStream, ServerCallContext context)
        => stream.PublishAsync(requestStream, responseStream, context.CancellationToken);

    public override Task<PoolStatsResponse> PoolStats(PoolStatsRequest request, ServerCallContext context)
        => Task.FromResult(ShowPool.Show(connections.Get(Contracts.ConnectionNames.DefaultConfig).GetStatistics()));

    private TimeSpan Budget(ServerCallContext context)
    {
        if (context.Deadline == DateTime.MaxValue)
        {
            return options.Value.DefaultDeadline;
        }

        var remaining = context.Deadline - time.GetUtcNow().UtcDateTime;
        var answer = TimeSpan.FromTicks(Math.Clamp(remaining.Ticks / 20, LeastAnswerTime.Ticks, MostAnswerTime.Ticks));
        return remaining - answer < options.Value.MaxDeadline ? remaining - answer : options.Value.MaxDeadline;
    }
}
