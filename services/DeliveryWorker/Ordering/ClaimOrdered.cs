using Microsoft.Extensions.Options;
using NATS.Client.Core;
using RuleEngineNats.Consumers;
using RuleEngineNats.DeliveryWorker.Queue;

namespace RuleEngineNats.DeliveryWorker.Ordering;

/// <summary>Leases the calls of ordered webhooks: of each key the first one, and only when nothing can come before it any more.</summary>
internal sealed partial class ClaimOrdered(ClaimCalls claims, StreamPumps pumps, IOptions<DeliveryOptions> options, ILogger<ClaimOrdered> logger)
{
    public async Task<IReadOnlyList<LeasedCall>> RunAsync(IReadOnlyList<ClaimShare> shares, CancellationToken cancellationToken)
    {
        var ordered = shares.Where(share => share.Ordered).ToArray();
        if (ordered.Length == 0)
        {
            return [];
        }

        var floors = await ReadFloorsAsync(cancellationToken);
        var claimed = new List<LeasedCall>();
        foreach (var share in ordered)
        {
            claimed.AddRange(await claims.ClaimOrderedAsync(share, floors, options.Value.Lease, cancellationToken));
        }

        return claimed;
    }

    // A stream that cannot be asked has no floor now; its calls wait.
    private async Task<IReadOnlyList<StreamFloor>> ReadFloorsAsync(CancellationToken cancellationToken)
    {
        var floors = new List<StreamFloor>();
        foreach (var pump in pumps.Pumps)
        {
            try
            {
                floors.Add(new(pump.Stream, await pump.ReadAckFloorAsync(cancellationToken)));
            }
            catch (NatsException e)
            {
                floors.Add(new(pump.Stream, 0));
                LogNoFloor(pump.Stream, e.Message);
            }
        }

        return floors;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "ordered calls of stream {Stream} wait: how far it is acknowledged is not known: {Reason}")]
    private partial void LogNoFloor(string stream, string reason);
}
