namespace RuleEngineNats.Messaging;

/// <summary>
/// Keeps the publishes of one caller on one connection as long as that is healthy: started one after the other, they are stored in that order,
/// however many are on their way. A repeated attempt may overtake or be overtaken.
/// </summary>
public sealed class PublishLane
{
    private PoolConnection? _connection;

    internal PoolConnection? Pick(NatsConnectionPool pool)
    {
        var connection = Volatile.Read(ref _connection);
        if (connection is null || !connection.Healthy || connection.Pool != pool)
        {
            connection = pool.Pick();
            Volatile.Write(ref _connection, connection);
        }

        return connection;
    }
}
