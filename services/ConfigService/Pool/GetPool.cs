using RuleEngineNats.Contracts;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.ConfigService.Pool;

/// <param name="Connection">Name of the NATS connection.</param>
/// <param name="MaxConnections">Most connections the pool may open.</param>
/// <param name="TotalConnections">Connections it has.</param>
/// <param name="HealthyConnections">Those that can publish now.</param>
/// <param name="HealthPercentage">Healthy ones in percent of all.</param>
/// <param name="RequestsServed">Publishes handed to a connection; this service publishes none.</param>
/// <param name="Connections">Each connection.</param>
internal sealed record PoolAnswer(
    string Connection,
    int MaxConnections,
    int TotalConnections,
    int HealthyConnections,
    double HealthPercentage,
    long RequestsServed,
    IReadOnlyList<PoolMember> Connections);

/// <param name="Index">Number within the pool; the first is 0.</param>
/// <param name="State">open, connecting, reconnecting or closed.</param>
/// <param name="Server">Name of the server; empty while there is none.</param>
/// <param name="Healthy">Whether it can publish now.</param>
/// <param name="InFlight">Publishes that wait for their acknowledgement.</param>
/// <param name="RequestsServed">Publishes handed to it.</param>
/// <param name="Disconnects">Times it was lost.</param>
internal sealed record PoolMember(int Index, string State, string Server, bool Healthy, int InFlight, long RequestsServed, long Disconnects);

internal static class GetPool
{
    public static IResult Handle(NatsConnections connections)
    {
        var pool = connections.Get(ConnectionNames.DefaultConfig).GetStatistics();
        return Results.Ok(new PoolAnswer(
            ConnectionNames.DefaultConfig,
            pool.MaxConnections,
            pool.Connections.Count,
            pool.Healthy,
            pool.HealthPercentage,
            pool.RequestsServed,
            [.. pool.Connections.Select(connection => new PoolMember(
                connection.Index, connection.State, connection.Server, connection.Healthy, connection.InFlight, connection.RequestsServed, connection.Disconnects))]));
    }
}
