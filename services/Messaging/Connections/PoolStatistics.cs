namespace RuleEngineNats.Messaging;

/// <summary>What the pool is doing; counters begin at 0 with the process.</summary>
/// <param name="MaxConnections">Most connections it may open.</param>
/// <param name="Connections">Each connection.</param>
public sealed record PoolStatistics(int MaxConnections, IReadOnlyList<ConnectionStatistics> Connections)
{
    /// <summary>Connections that can publish now.</summary>
    public int Healthy => Connections.Count(connection => connection.Healthy);

    /// <summary>Healthy connections in percent of all; 0 without any.</summary>
    public double HealthPercentage => Connections.Count == 0 ? 0 : 100.0 * Healthy / Connections.Count;

    /// <summary>Publishes handed to a connection, repeated attempts included.</summary>
    public long RequestsServed => Connections.Sum(connection => connection.RequestsServed);
}

/// <summary>What one connection is doing.</summary>
/// <param name="Index">Number within the pool; the first is 0.</param>
/// <param name="State"><c>open</c>, <c>connecting</c>, <c>reconnecting</c> or <c>closed</c>.</param>
/// <param name="Server">Name of the server, empty while there is none.</param>
/// <param name="Healthy">Whether it can publish now.</param>
/// <param name="InFlight">Publishes that wait for their acknowledgement.</param>
/// <param name="RequestsServed">Publishes handed to it.</param>
/// <param name="Disconnects">Times it was lost.</param>
public sealed record ConnectionStatistics(
    int Index, string State, string Server, bool Healthy, int InFlight, long RequestsServed, long Disconnects);
