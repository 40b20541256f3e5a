using System.Diagnostics;
using MassTransit;
using Microsoft.Extensions.Options;
using RuleEngineNats.Consumers;
using RuleEngineNats.DeliveryWorker.Delivery;
using RuleEngineNats.DeliveryWorker.Isolation;
using RuleEngineNats.DeliveryWorker.Payloads;
using RuleEngineNats.DeliveryWorker.Routing;

namespace RuleEngineNats.DeliveryWorker.Queue;

/// <summary>The type MassTransit routes calls of the PostgreSQL queue by; the call itself rides beside it (<see cref="LeasedCall"/>).</summary>
public sealed record CallDue;

/// <summary>One attempt of a call: queued by <c>rule_webhook_enqueue</c>, left over from a first attempt that failed, spilled, or of both paths.</summary>
internal sealed class DeliverCall(
    Routes routes, ReadBody bodies, CallQueue calls, EndpointStates states, MakeAttempt attempts, AttemptWriter writer, Drain drain, IOptions<DeliveryOptions> options) : IConsumer<CallDue>
{
    public async Task Consume(ConsumeContext<CallDue> context)
    {
        if (!context.TryGetPayload<LeasedCall>(out var call))
        {
            throw new InvalidOperationException("a call without its content");
        }

        // Switched off since it was leased: it stays due and is taken up again when the endpoint is on.
        if (routes.FindForCalls(call.WebhookId) is not { } endpoint)
        {
            await calls.ReleaseAsync(call.CallId, tried: false, drain.Abort);
            return;
        }

        using var held = await bodies.OfAsync(call.Event, drain.Abort);
        if (await EnterAsync(endpoint, call) is not { } place)
        {
            await calls.ReleaseAsync(call.CallId, tried: false, drain.Abort);
            return;
        }

        await writer.RecordAsync(await attempts.RunAsync(place, endpoint, held.Event, call.Attempt, call.RetryCount, drain.Abort, call.Ordered), drain.Abort);
    }

    // Null when a stop came first, or when it waited so long that the request, or the writing of its record, could outlast the lease.
    private async ValueTask<Admission?> EnterAsync(Endpoint endpoint, LeasedCall call)
    {
        try
        {
            var place = await states.EnterAsync(endpoint, first: call.RetryCount == 0, drain.Stop);
            if (!drain.Stop.IsCancellationRequested && Stopwatch.GetElapsedTime(call.Since) <= (options.Value.Lease - options.Value.MaxTimeout) / 2)
            {
                return place;
            }

            place.Dispose();
        }
        catch (OperationCanceledException) when (drain.Stop.IsCancellationRequested)
        {
            // It had no place yet.
        }

        return null;
    }
}
