namespace RuleEngineNats.Messaging;

/// <summary>
/// Keeps lanes from a server until somebody has looked at what it has. Each start of a nats-server has an id of its own, so after a restart its
/// connections are open and yet not admitted.
/// </summary>
public sealed class PublishAdmission
{
    private readonly Lock _gate = new();
    private volatile HashSet<(NatsConnectionPool Pool, string ServerId)> _admitted = [];
    private TaskCompletionSource _changed = NewSignal();

    /// <summary>Whether lanes may publish to a server.</summary>
    public bool Admits(NatsConnectionPool pool, string serverId) => _admitted.Contains((pool, serverId));

    /// <summary>Lets lanes publish to these servers, for as long as each runs.</summary>
    public void Admit(NatsConnectionPool pool, IEnumerable<string> serverIds)
    {
        lock (_gate)
        {
            _admitted = [.. _admitted, .. serverIds.Select(serverId => (pool, serverId))];
        }

        Interlocked.Exchange(ref _changed, NewSignal()).TrySetResult();
    }

    internal bool Admits(PoolConnection connection) => connection.Connection.ServerInfo is { } server && Admits(connection.Pool, server.Id);

    internal Task NextAsync() => Volatile.Read(ref _changed).Task;

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
