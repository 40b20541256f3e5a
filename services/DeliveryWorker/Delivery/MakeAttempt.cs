using Microsoft.Extensions.Options;
using RuleEngineNats.DeliveryWorker.Isolation;

namespace RuleEngineNats.DeliveryWorker.Delivery;

/// <summary>One attempt from its place at the endpoint to what is to be written about it.</summary>
internal sealed class MakeAttempt(PostWebhook post, EndpointStates states, Circuits circuits, IOptions<DeliveryOptions> options)
{
    /// <param name="admission">The place; given back when the request has ended.</param>
    /// <param name="endpoint">Where it goes.</param>
    /// <param name="outgoing">What is sent.</param>
    /// <param name="number">Which attempt it is.</param>
    /// <param name="retryCount">Retries of the leased call so far; null when there is no call yet.</param>
    /// <param name="cancellationToken">The worker stops.</param>
    /// <param name="ordered">Whether later calls of its key wait for it.</param>
    /// <exception cref="OperationCanceledException">The worker stops; whether the receiver got the request is unknown.</exception>
    public async Task<AttemptRecord> RunAsync(
        Admission admission, Endpoint endpoint, OutgoingEvent outgoing, int number, int? retryCount, CancellationToken cancellationToken, bool ordered = false)
    {
        using var place = admission;
        var attempt = await post.SendAsync(endpoint, outgoing, number, cancellationToken);
        var outcome = attempt.Outcome;
        var window = states.Of(endpoint.Id).Window;
        if (outcome.Error is null && circuits.IsOpen(endpoint.Id))
        {
            window.Clear(); // What opened it is over with this.
        }

        var trips = outcome.IsOfEndpoint && window.Count(outcome.Error is not null, endpoint.Delivery.BreakerFailurePct);
        var change = DecideNext.After(endpoint, outcome, retryCount, ordered, options.Value.ThrottledDelay, Random.Shared.NextDouble());
        return new(endpoint.Id, outgoing, attempt with { Trips = trips }, change);
    }
}
