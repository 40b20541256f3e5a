namespace RuleEngineNats.Messaging;

/// <summary>
/// Keeps the publishes of one caller on one connection as long as that is healthy: started one after the other, they are stored in that order,
/// however many are on their way. A repeated attempt may overtake or be overtaken.
/// </summary>
/// <param name="admission">Servers it may publish to; null for all. Publishes wait for their server's admission as they wait for a connection.</param>
public sealed class PublishLane(PublishAdmission? admission = null)
{
    private PoolConnection? _connection;

    /// <summary>False while a publish would wait for its server's admission; a missing connection is another matter.</summary>
    public bool IsAdmitted(NatsConnectionPool pool) => Pick(pool) is not null || _connection is not { Healthy: true };

    /// <summary>Waits for that; false when it took too long. Who waits here before each publish keeps their order, which waiting inside them does not.</summary>
    public async ValueTask<bool> WaitUntilAdmittedAsync(NatsConnectionPool pool, TimeSpan atMost, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(atMost);
        try
        {
            await WaitAsync(pool, limit.Token);
            return true;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }

    internal PoolConnection? Pick(NatsConnectionPool pool)
    {
        var connection = Volatile.Read(ref _connection);
        if (connection is null || !connection.Healthy || connection.Pool != pool)
        {
            connection = pool.Pick();
            Volatile.Write(ref _connection, connection);
        }

        return connection is null || admission is null || admission.Admits(connection) ? connection : null;
    }

    internal async Task WaitAsync(NatsConnectionPool pool, CancellationToken cancellationToken)
    {
        await pool.WaitUntilHealthyAsync(cancellationToken);
        while (admission?.NextAsync() is { } next && Pick(pool) is null)
        {
            await next.WaitAsync(cancellationToken);
        }
    }
}
