using RuleEngineNats.Contracts.Publishing;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.PublishService.Pool;

internal static class ShowPool
{
    public static PoolStatsResponse Show(PoolStatistics statistics)
    {
        var response = new PoolStatsResponse
        {
            TotalConnections = statistics.Connections.Count,
            HealthyConnections = statistics.Healthy,
            HealthPercentage = statistics.HealthPercentage,
            RequestsServed = (ulong)statistics.RequestsServed,
            MaxConnections = statistics.MaxConnections,
        };
        response.Connections.Add(statistics.Connections.Select(connection => new ConnectionStats
        {
            Index = connection.Index,
            State = connection.State,
            Server = connection.Server,
            InFlight = connection.InFlight,
            RequestsServed = (ulong)connection.RequestsServed,
            Disconnects = (ulong)connection.Disconnects,
        }));
        return response;
    }
}
