using MassTransit;
using RuleEngineNats.DeliveryWorker.Delivery;
using RuleEngineNats.DeliveryWorker.Routing;

namespace RuleEngineNats.DeliveryWorker.Queue;

/// <summary>The type MassTransit routes calls of the PostgreSQL queue by; the call itself rides beside it (<see cref="LeasedCall"/>).</summary>
public sealed record CallDue;

/// <summary>One attempt of a call: queued by <c>rule_webhook_enqueue</c>, left over from a first attempt that failed, or of both paths.</summary>
internal sealed class DeliverCall(Routes routes, CallQueue calls, PostWebhook post, AttemptWriter writer) : IConsumer<CallDue>
{
    public async Task Consume(ConsumeContext<CallDue> context)
    {
        if (!context.TryGetPayload<LeasedCall>(out var call))
        {
            throw new InvalidOperationException("a call without its content");
        }

        // Switched off since it was leased: it stays due and is taken up again when the endpoint is on.
        if (routes.Current.Find(call.WebhookId) is not { } endpoint)
        {
            await calls.ReleaseAsync(call.CallId, context.CancellationToken);
            return;
        }

        var attempt = await post.SendAsync(endpoint, call.Event, call.Attempt, context.CancellationToken);
        var change = DecideNext.After(endpoint, attempt.Outcome, call.RetryCount, Random.Shared.NextDouble());
        await writer.RecordAsync(new(call.Event, attempt, change), context.CancellationToken);
    }
}
