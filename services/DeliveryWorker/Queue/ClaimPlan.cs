using Microsoft.Extensions.Options;
using RuleEngineNats.DeliveryWorker.Isolation;
using RuleEngineNats.DeliveryWorker.Routing;

namespace RuleEngineNats.DeliveryWorker.Queue;

/// <summary>How much of the queue each endpoint may have now: by its places, its rate limit, its budget of repeats and its circuit.</summary>
internal sealed class ClaimPlan(Routes routes, ClaimCalls calls, EndpointStates states, Circuits circuits, IOptions<DeliveryOptions> options)
{
    private int _begin;

    /// <param name="due">Webhooks that have calls due.</param>
    /// <param name="places">Calls that this process can take in all.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<IReadOnlyList<ClaimShare>> MakeAsync(IReadOnlyList<DueCalls> due, int places, CancellationToken cancellationToken)
    {
        var shares = new List<ClaimShare>();
        // One that is off is probed whether it has calls due or not: take_probes finds one that was given up.
        List<int> probes = [.. routes.Off.Recovering];
        // Everyone a part, and not always the same one first.
        var most = Math.Max(1, places / Math.Max(1, due.Count));
        var begin = _begin++;
        for (var index = 0; index < due.Count && places > 0; index++)
        {
            var (webhookId, ordered) = due[(int)((uint)(begin + index) % (uint)due.Count)];
            if (routes.Current.Find(webhookId) is not { } endpoint)
            {
                continue;
            }

            if (circuits.IsOpen(webhookId))
            {
                probes.Add(webhookId);
            }
            else if (await ShareAsync(endpoint, ordered, Math.Min(most, places), cancellationToken) is { Room: > 0 } share)
            {
                shares.Add(share);
                places -= share.Room;
            }
        }

        foreach (var id in probes.Count == 0 ? [] : await calls.TakeProbesAsync([.. probes.Distinct()], cancellationToken))
        {
            if (routes.FindForCalls(id) is { } endpoint)
            {
                // An ordered webhook has calls that left the order too.
                shares.Add(new(endpoint, Room: 1, Repeats: 1, endpoint.Delivery.IsOrdered && !due.Contains(new(id, Ordered: false))));
            }
        }

        return shares;
    }

    /// <summary>Takes the repeats among what was claimed from their endpoints' budgets, and gives back what was not claimed of their rate limits.</summary>
    public void Spend(IReadOnlyList<ClaimShare> shares, IReadOnlyList<LeasedCall> claimed)
    {
        var byWebhook = claimed.ToLookup(call => (call.WebhookId, call.Ordered));
        foreach (var share in shares)
        {
            var state = states.Of(share.Endpoint.Id);
            var had = byWebhook[(share.Endpoint.Id, share.Ordered)];
            state.Retries.Spend(had.Count(call => call.RetryCount > 0));
            state.Rate.GiveBack(share.Room - had.Count());
        }
    }

    private async ValueTask<ClaimShare> ShareAsync(Endpoint endpoint, bool ordered, int most, CancellationToken cancellationToken)
    {
        var state = states.Of(endpoint.Id);
        var room = Math.Min(most, state.Gate.Room(endpoint.Delivery.MaxConcurrency, options.Value.SpillAfter));
        room = await state.Rate.TakeAsync(endpoint.Delivery, room, cancellationToken);
        return new(endpoint, room, state.Retries.Available(), ordered);
    }
}
