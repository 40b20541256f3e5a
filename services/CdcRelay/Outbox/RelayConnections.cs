using System.Globalization;
using Microsoft.Extensions.Options;
using Npgsql;
using Npgsql.Replication;

namespace RuleEngineNats.CdcRelay.Outbox;

/// <summary>The relay's sessions that are not out of the pool, each with the server settings that its purpose asks for.</summary>
internal sealed class RelayConnections(IConfiguration configuration, IOptions<RelayOptions> options)
{
    private readonly string _connectionString = configuration.GetConnectionString("rules")
        ?? throw new InvalidOperationException("ConnectionStrings:rules is not set");

    /// <summary>
    /// The leader's session holds the advisory lock and is spoken on several times in a lease. The server ends it, and with it the lock,
    /// when the process is gone (at once), stopped (idle_session_timeout) or cut off (keepalives).
    /// </summary>
    public async Task<NpgsqlConnection> OpenLeaseAsync(CancellationToken cancellationToken)
    {
        var lease = options.Value.Lease;
        var settings = string.Create(CultureInfo.InvariantCulture, $"""
            -c idle_session_timeout={(long)lease.TotalMilliseconds} -c tcp_keepalives_idle={Math.Max(1, (int)lease.TotalSeconds / 3)} -c tcp_keepalives_interval={Math.Max(1, (int)lease.TotalSeconds / 5)} -c tcp_keepalives_count=3
            """);
        var connection = new NpgsqlConnection(With("relay lease", settings).ConnectionString);
        try
        {
            await connection.OpenAsync(cancellationToken);
            return connection;
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    public LogicalReplicationConnection CreateReplication() => new(With("relay wal", "-c wal_sender_timeout=30s").ConnectionString)
    {
        // Sent by a timer, also while nothing is read because NATS is behind: the server never takes a waiting relay for a dead one.
        WalReceiverStatusInterval = TimeSpan.FromSeconds(5),
        WalReceiverTimeout = TimeSpan.FromSeconds(30),
    };

    private NpgsqlConnectionStringBuilder With(string purpose, string settings) => new(_connectionString)
    {
        ApplicationName = $"cdc-relay {purpose}",
        Options = settings,
        Pooling = false,
        Enlist = false,
        CommandTimeout = 10,
    };
}
