using MassTransit;
using Microsoft.Extensions.Options;
using RuleEngineNats.DeliveryWorker.Payloads;
using RuleEngineNats.DeliveryWorker.Queue;
using RuleEngineNats.DeliveryWorker.Routing;
using RuleEngineNats.DeliveryWorker.Streams;

namespace RuleEngineNats.DeliveryWorker.Delivery;

/// <summary>The type MassTransit routes stream messages by. The message itself rides beside it (<see cref="StreamEvent"/>): its bytes must not be parsed and written again.</summary>
public sealed record EventArrived;

/// <summary>
/// Takes an event to every endpoint whose filter matches and returns when the outcome for each is committed; only then may the message be acknowledged.
/// <code>
/// 1 route by subject        none matches: done
/// 2 came with rule-call-id  lease that call; not ours: the queue path has that endpoint
/// 3 came before             leave out the endpoints whose outcome is recorded
/// 4 send, decide, record    for all that are left at once
/// </code>
/// </summary>
internal sealed class DeliverEvent(
    Routes routes, CallQueue calls, RecordedDeliveries recorded, PostWebhook post, AttemptWriter writer, IOptions<DeliveryOptions> options)
    : IConsumer<EventArrived>
{
    private const int MaxFanOut = 32;

    public async Task Consume(ConsumeContext<EventArrived> context)
    {
        if (!context.TryGetPayload<StreamEvent>(out var arrived))
        {
            throw new InvalidOperationException("an event without its content");
        }

        var cancellationToken = context.CancellationToken;
        var endpoints = (await routes.ForAsync(arrived.PublishedThrough, arrived.Outgoing.Subject!, cancellationToken)).Match(arrived.Outgoing.Subject!);
        endpoints = FilterContent.Keep(endpoints, arrived.Outgoing.Body);
        if (endpoints.Count == 0)
        {
            return;
        }

        if (endpoints.Count == 1 && arrived is { CallId: null, Redelivered: false })
        {
            await DeliverAsync(endpoints[0], arrived.Outgoing, cancellationToken);
            return;
        }

        var due = await LeaveOutAsync(arrived, endpoints, cancellationToken);
        DeliveryMetrics.SkippedDeliveries(endpoints.Count - due.Count);
        await Parallel.ForEachAsync(
            due,
            new ParallelOptions { MaxDegreeOfParallelism = MaxFanOut, CancellationToken = cancellationToken },
            (delivery, token) => new ValueTask(delivery.Lease is { } lease
                ? DeliverLeasedAsync(delivery.Endpoint, arrived.Outgoing, arrived.CallId!.Value, lease, token)
                : DeliverAsync(delivery.Endpoint, arrived.Outgoing, token)));
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
        var attempt = await post.SendAsync(endpoint, outgoing, number: 1, cancellationToken);
        var change = DecideNext.After(endpoint, attempt.Outcome, retryCount: null, Random.Shared.NextDouble());
        await writer.RecordAsync(new(outgoing, attempt, change), cancellationToken);
    }

    private async Task DeliverLeasedAsync(Endpoint endpoint, OutgoingEvent outgoing, long callId, EventLease lease, CancellationToken cancellationToken)
    {
        var ours = outgoing with { EventId = lease.EventId, CallId = callId };
        try
        {
            var attempt = await post.SendAsync(endpoint, ours, lease.Attempt, cancellationToken);
            var change = DecideNext.After(endpoint, attempt.Outcome, lease.RetryCount, Random.Shared.NextDouble());
            await writer.RecordAsync(new(ours, attempt, change), cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            await calls.ReleaseAsync(callId, CancellationToken.None);
            throw;
        }
    }
}
