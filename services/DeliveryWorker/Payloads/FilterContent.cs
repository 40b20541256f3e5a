using System.Text.Json;
using RuleEngineNats.DeliveryWorker.Delivery;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.DeliveryWorker.Payloads;

/// <summary>Leaves out the endpoints whose content filter does not let an event through. Only a filter makes it read the body, and all of them together once.</summary>
internal static class FilterContent
{
    /// <summary>Of an event whose body is missing all stay: each has its dead letter.</summary>
    public static IReadOnlyList<Endpoint> Keep(IReadOnlyList<Endpoint> endpoints, OutgoingEvent outgoing)
        => outgoing.BodyMissing is null ? Keep(endpoints, outgoing.Body) : endpoints;

    public static IReadOnlyList<Endpoint> Keep(IReadOnlyList<Endpoint> endpoints, ReadOnlyMemory<byte> body)
    {
        if (!AnyHasFilter(endpoints))
        {
            return endpoints;
        }

        using var document = EventBody.Parse(body);
        var kept = new List<Endpoint>(endpoints.Count);
        foreach (var endpoint in endpoints)
        {
            if (Judge(endpoint, document) is { } receiver)
            {
                kept.Add(receiver);
            }
        }

        DeliveryMetrics.FilteredDeliveries(endpoints.Count - kept.Count);
        return kept;
    }

    // By index: an enumerator would be the only allocation of an event that no filter looks at.
    private static bool AnyHasFilter(IReadOnlyList<Endpoint> endpoints)
    {
        for (var index = 0; index < endpoints.Count; index++)
        {
            if (endpoints[index].Payload.HasFilter)
            {
                return true;
            }
        }

        return false;
    }

    // One that cannot be judged stays, with the reason: its delivery then fails on record and nothing is lost unseen.
    private static Endpoint? Judge(Endpoint endpoint, JsonDocument? document)
    {
        try
        {
            return endpoint.Payload.Filter?.Matches(document) != false ? endpoint : null;
        }
        catch (FilterTooCostlyException e)
        {
            return endpoint with { Payload = PayloadSettings.Refused("content_filter: " + e.Message) };
        }
    }
}
