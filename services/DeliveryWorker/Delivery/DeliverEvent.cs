using MassTransit;
using Microsoft.Extensions.Options;
using RuleEngineNats.Consumers;
using RuleEngineNats.DeliveryWorker.Isolation;
using RuleEngineNats.DeliveryWorker.Ordering;
using RuleEngineNats.DeliveryWorker.Payloads;
using RuleEngineNats.DeliveryWorker.Queue;
using RuleEngineNats.DeliveryWorker.Routing;
using RuleEngineNats.DeliveryWorker.Streams;

namespace RuleEngineNats.DeliveryWorker.Delivery;

/// <summary>The type MassTransit routes stream messages by. They themselves ride beside it (<see cref="ArrivedEvents"/>): their bytes must not be parsed and written again.</summary>
public sealed record EventsArrived;

/// <summary>
/// Takes an event to every endpoint whose filter matches and returns when for each the outcome, or the call that will have it, is committed; only then may
/// the message be acknowledged.
/// <code>
/// 1 route by subject        none matches: done
///   and by content          of a body in the Object Store after it was read from there
/// 2 came with rule-call-id  lease that call; not ours: the queue path has that endpoint
/// 3 came before             leave out the endpoints whose outcome is recorded
/// 4 admit                   an endpoint that cannot take it now: leave it to the queue
/// 5 send, decide, record    for all that are left at once; what takes long goes on as a call
/// 6 endpoints that are off  record that they did not get it
/// </code>
/// </summary>
internal sealed class DeliverEvent(
    Routes routes, ReadBody bodies, CallQueue calls, RecordedDeliveries recorded, EndpointStates states, MakeAttempt attempts, DetachedAttempts detached,
    AttemptWriter writer, Drain drain, IOptions<DeliveryOptions> options, TimeProvider time) : IConsumer<EventsArrived>
{
    private const int MaxFanOut = 32;

    public Task Consume(ConsumeContext<EventsArrived> context)
        => context.TryGetPayload<ArrivedEvents>(out var arrived)
            ? Task.WhenAll(arrived.Events.Select(one => one.HandleAsync(DeliverAsync)))
            : throw new InvalidOperationException("events without their content");

    private async Task DeliverAsync(StreamEvent arrived)
    {
        // Not the context's token: an attempt may outlive its message.
        var cancellationToken = drain.Abort;
        var endpoints = (await routes.ForAsync(arrived.PublishedThrough, arrived.Outgoing.Subject!, cancellationToken)).Match(arrived.Outgoing.Subject!);
        var off = routes.Off.Match(arrived.Outgoing.Subject!);
        if (endpoints.Count + off.Count == 0)
        {
            return;
        }

        using var held = await bodies.OfAsync(arrived, cancellationToken);
        arrived = ReferenceEquals(held.Event, arrived.Outgoing) ? arrived : arrived with { Outgoing = held.Event };
        endpoints = FilterContent.Keep(endpoints, arrived.Outgoing);
        off = FilterContent.Keep(off, arrived.Outgoing);
        if (endpoints.Count + off.Count > 0)
        {
            await DeliverAsync(arrived, endpoints, off, cancellationToken);
        }
    }

    private async Task DeliverAsync(StreamEvent arrived, IReadOnlyList<Endpoint> endpoints, IReadOnlyList<Endpoint> off, CancellationToken cancellationToken)
    {
        if (endpoints.Count == 1 && off.Count == 0 && arrived is { CallId: null, Redelivered: false })
        {
            await DeliverAsync(endpoints[0], arrived.Outgoing, cancellationToken);
            return;
        }

        var due = await LeaveOutAsync(arrived, [.. endpoints, .. off], cancellationToken);
        DeliveryMetrics.SkippedDeliveries(endpoints.Count + off.Count - due.Count);
        await Parallel.ForEachAsync(
            due,
            new ParallelOptions { MaxDegreeOfParallelism = MaxFanOut, CancellationToken = cancellationToken },
            (delivery, token) => new ValueTask(delivery switch
            {
                { Lease: { } lease } => DeliverLeasedAsync(delivery.Endpoint, arrived.Outgoing, arrived.CallId!.Value, lease, token),
                { Endpoint.Off: { } reason } => writer.RecordAsync(new(delivery.Endpoint.Id, arrived.Outgoing, Attempt.Cancelled(reason, time.GetUtcNow()), CallChange.None), token),
                _ => DeliverAsync(delivery.Endpoint, arrived.Outgoing, token),
            }));
    }

    private async Task<List<(Endpoint Endpoint, EventLease? Lease)>> LeaveOutAsync(
        StreamEvent arrived, IReadOnlyList<Endpoint> endpoints, CancellationToken cancellationToken)
    {
        var lease = arrived.CallId is { } callId
            ? await calls.LeaseAsync(callId, [.. endpoints.Select(endpoint => endpoint.Id)], options.Value.Lease, cancellationToken)
            : null;
        var done = arrived.Redelivered ? await recorded.OfAsync(arrived.Outgoing.EventId, cancellationToken) : null;
        var due = new List<(Endpoint, EventLease?)>(endpoints.Count);
        foreach (var endpoint in endpoints)
        {
            if (lease is { } held && held.WebhookId == endpoint.Id)
            {
                // The row alone decides: it is there from the publish on, so its presence records nothing.
                if (held.Ours)
                {
                    due.Add((endpoint, held));
                }
            }
            else if (done?.Contains(endpoint.Id) != true)
            {
                due.Add((endpoint, null));
            }
        }

        return due;
    }

    private async Task DeliverAsync(Endpoint endpoint, OutgoingEvent outgoing, CancellationToken cancellationToken)
    {
        if (endpoint.Delivery.IsOrdered)
        {
            await writer.RecordAsync(new(endpoint.Id, outgoing, null, new CallChange.Spill(OrderKey.Of(endpoint.Delivery, outgoing))), cancellationToken);
            return;
        }

        var admission = await states.AdmitAsync(endpoint, cancellationToken);
        if (admission.Refusal is { } reason)
        {
            DeliveryMetrics.Spilled(reason);
            await writer.RecordAsync(new(endpoint.Id, outgoing, null, new CallChange.Spill()), cancellationToken);
            return;
        }

        var attempt = attempts.RunAsync(admission, endpoint, outgoing, number: 1, retryCount: null, drain.Abort);
        if (!await EndsSoonAsync(attempt) && await detached.TryTakeAsync(endpoint, outgoing, attempt, cancellationToken))
        {
            return;
        }

        await writer.RecordAsync(await attempt, cancellationToken);
    }

    private async Task<bool> EndsSoonAsync(Task attempt)
    {
        if (!attempt.IsCompleted)
        {
            await attempt.WaitAsync(options.Value.DetachAfter, time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        return attempt.IsCompleted;
    }

    private async Task DeliverLeasedAsync(Endpoint endpoint, OutgoingEvent outgoing, long callId, EventLease lease, CancellationToken cancellationToken)
    {
        var ours = outgoing with { EventId = lease.EventId, CallId = callId };
        var admission = endpoint.Off is null ? await states.AdmitAsync(endpoint, cancellationToken) : new(null, endpoint, endpoint.Off);
        if (admission.Refusal is not null)
        {
            await calls.ReleaseAsync(callId, tried: false, cancellationToken);
            return;
        }

        var attempt = attempts.RunAsync(admission, endpoint, ours, lease.Attempt, lease.RetryCount, drain.Abort);
        if (!await EndsSoonAsync(attempt) && detached.TryTake(callId, attempt))
        {
            return;
        }

        try
        {
            await writer.RecordAsync(await attempt, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            await calls.ReleaseAsync(callId, tried: true, CancellationToken.None);
            throw;
        }
    }
}
