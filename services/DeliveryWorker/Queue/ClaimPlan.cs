using Microsoft.Extensions.Options;
using RuleEngineNats.DeliveryWorker.Isolation;
using RuleEngineNats.DeliveryWorker.Routing;

namespace RuleEngineNats.DeliveryWorker.Queue;

/// <summary>How much of the queue each endpoint may have now: by its places, its rate limit, its budget of repeats and its circuit.</summary>
internal sealed class ClaimPlan(Routes routes, CallQueue calls, EndpointStates states, Circuits circuits, IOptions<DeliveryOptions> options)
{
    private int _begin;

    /// <param name="due">Webhooks that have calls due.</param>
    /// <param name="places">Calls that this process can take in all.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<IReadOnlyList<ClaimShare>> MakeAsync(IReadOnlyList<int> due, int places, CancellationToken cancellationToken)
    {
        var shares = new List<ClaimShare>();
        List<int>? probes = null;
        // Everyone a part, and not always the same one first.
        var most = Math.Max(1, places / due.Count);
        var begin = _begin++;
        for (var index = 0; index < due.Count && places > 0; index++)
        {
            if (routes.FindForCalls(due[(int)((uint)(begin + index) % (uint)due.Count)]) is not { } endpoint)
            {
                continue;
            }

            if (endpoint.MayRecover || circuits.IsOpen(endpoint.Id))
            {
                (probes ??= []).Add(endpoint.Id);
            }
            else if (await ShareAsync(endpoint, Math.Min(most, places), cancellationToken) is { Room: > 0 } share)
            {
                shares.Add(share);
                places -= share.Room;
            }
        }

        foreach (var id in probes is null ? [] : await calls.TakeProbesAsync([.. probes], cancellationToken))
        {
            if (routes.FindForCalls(id) is { } endpoint)
            {
                shares.Add(new(endpoint, Room: 1, Repeats: 1));
            }
        }

        return shares;
    }

    /// <summary>Takes the repeats among what was claimed from their endpoints' budgets, and gives back what was not claimed of their rate limits.</summary>
    public void Spend(IReadOnlyList<ClaimShare> shares, IReadOnlyList<LeasedCall> claimed)
    {
        var byWebhook = claimed.ToLookup(call => call.WebhookId);
        foreach (var share in shares)
        {
            var state = states.Of(share.Endpoint.Id);
            state.Retries.Spend(byWebhook[share.Endpoint.Id].Count(call => call.RetryCount > 0));
            state.Rate.GiveBack(share.Room - byWebhook[share.Endpoint.Id].Count());
        }
    }

    private async ValueTask<ClaimShare> ShareAsync(Endpoint endpoint, int most, CancellationToken cancellationToken)
    {
        var state = states.Of(endpoint.Id);
        var room = Math.Min(most, state.Gate.Room(endpoint.Delivery.MaxConcurrency, options.Value.SpillAfter));
        room = await state.Rate.TakeAsync(endpoint.Delivery, room, cancellationToken);
        return new(endpoint, room, state.Retries.Available());
    }
}
