using Microsoft.Extensions.Logging;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.ObjectStore;
using Npgsql;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.Messaging;

/// <summary>
/// Makes the streams of <c>rule_nats_streams</c> exist on the server: what is missing is created, what is there is left as it is and its differences
/// reported, into the row as well (<c>server_state</c>, <c>server_detail</c>, <c>checked_at</c>). Beside the streams of a server goes the bucket for bodies that are
/// too large for a message, <see cref="StreamNames.PayloadBucket"/>.
/// </summary>
public sealed partial class StreamProvisioner(
    NatsConnections connections, ConfigWatcher watcher, NpgsqlDataSource dataSource, ILogger<StreamProvisioner> logger)
{
    private static readonly TimeSpan ConnectPatience = TimeSpan.FromSeconds(1);

    /// <summary>Provisions every enabled definition of the configuration as it is in the database now.</summary>
    /// <returns>One report per enabled definition, and one for the bucket of each configuration that has any. A server that is away is a report with <see cref="StreamState.Failed"/>, not an exception.</returns>
    public async Task<IReadOnlyList<StreamReport>> ProvisionAsync(CancellationToken cancellationToken)
    {
        var snapshot = await watcher.RefreshAsync(cancellationToken);

        // Side by side, so that a server that is away delays none of another's streams.
        var reports = await Task.WhenAll(
            from stream in snapshot.Streams
            where stream.Enabled
            group stream by stream.ConfigId into streams
            let config = snapshot.ConfigsById.GetValueOrDefault(streams.Key)
            where config is { Enabled: true }
            select ProvisionAsync(config, [.. streams], cancellationToken));
        return [.. reports.SelectMany(report => report)];
    }

    private async Task<List<StreamReport>> ProvisionAsync(NatsConfig config, StreamDefinition[] definitions, CancellationToken cancellationToken)
    {
        var reports = new List<StreamReport>();
        var connected = await IsConnectedAsync(connections.Get(config.Name), cancellationToken);
        foreach (var definition in definitions)
        {
            var report = connected
                ? await ProvisionAsync(config, definition, cancellationToken)
                : new StreamReport(definition.Name, config.Name, StreamState.Failed, NotConnected(config.Name));
            LogReport(report.Stream, report.State, report.Detail);
            await RecordAsync(definition.Id, report, cancellationToken);
            reports.Add(report);
        }

        if (connected)
        {
            var bucket = await ProvisionBucketAsync(config, definitions, cancellationToken);
            LogReport(bucket.Stream, bucket.State, bucket.Detail);
            reports.Add(bucket);
        }

        return reports;
    }

    private static async Task<bool> IsConnectedAsync(NatsConnectionPool pool, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(ConnectPatience);
        try
        {
            await pool.WaitUntilHealthyAsync(limit.Token);
            return true;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }

    private string NotConnected(string config)
        => connections.Get(config).Error is { } error ? $"no connection to nats-server: {error}" : "no connection to nats-server";

    private Task<StreamReport> ProvisionAsync(NatsConfig config, StreamDefinition definition, CancellationToken cancellationToken)
        => EnsureAsync(connections, config.Name, definition, cancellationToken);

    /// <summary>Makes one stream exist; what is there is left as it is.</summary>
    internal static async Task<StreamReport> EnsureAsync(NatsConnections connections, string config, StreamDefinition definition, CancellationToken cancellationToken)
    {
        try
        {
            var pool = connections.Get(config);
            using var use = pool.Begin();
            var context = new NatsJSContext(pool.Next());
            try
            {
                var stream = await context.GetStreamAsync(definition.Name, cancellationToken: cancellationToken);
                var differences = StreamShape.Differences(definition, stream.Info.Config);
                return new StreamReport(
                    definition.Name, config, differences.Count == 0 ? StreamState.Exists : StreamState.Differs, string.Join("; ", differences));
            }
            catch (NatsJSApiException exception) when (exception.Error.Code == 404)
            {
                await context.CreateStreamAsync(StreamShape.Of(definition), cancellationToken);
                return new StreamReport(definition.Name, config, StreamState.Created, string.Empty);
            }
        }
        catch (Exception exception) when (exception is NatsException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            return new StreamReport(definition.Name, config, StreamState.Failed, exception.Message);
        }
    }

    private async Task<StreamReport> ProvisionBucketAsync(NatsConfig config, StreamDefinition[] definitions, CancellationToken cancellationToken)
    {
        var wanted = BucketShape.Of(definitions);
        var name = $"OBJ_{wanted.Bucket}";
        try
        {
            var pool = connections.Get(config.Name);
            using var use = pool.Begin();
            var context = new NatsJSContext(pool.Next());
            try
            {
                var stream = await context.GetStreamAsync(name, cancellationToken: cancellationToken);
                return BucketShape.Difference(wanted, stream.Info.Config) is { } difference
                    ? new(name, config.Name, StreamState.Differs, difference)
                    : new(name, config.Name, StreamState.Exists, string.Empty);
            }
            catch (NatsJSApiException exception) when (exception.Error.Code == 404)
            {
                await new NatsObjContext(context).CreateObjectStoreAsync(wanted, cancellationToken);
                return new(name, config.Name, StreamState.Created, string.Empty);
            }
        }
        catch (Exception exception) when (exception is NatsException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            return new(name, config.Name, StreamState.Failed, exception.Message);
        }
    }

    private async Task RecordAsync(int streamId, StreamReport report, CancellationToken cancellationToken)
    {
        // A stream that we created stays "created" while it is as defined, so that an operator sees whose it is. These columns announce no change.
        await using var command = dataSource.CreateCommand(
            """
            UPDATE rule_nats_streams
               SET server_state = CASE WHEN $2 = 'exists' AND server_state = 'created' THEN 'created' ELSE $2 END,
                   server_detail = nullif($3, ''), checked_at = now()
             WHERE stream_id = $1
            """);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = streamId });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = report.State.ToString().ToLowerInvariant() });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = report.Detail });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Stream {Stream}: {State} {Detail}")]
    private partial void LogReport(string stream, StreamState state, string detail);
}
