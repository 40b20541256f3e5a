using System.Globalization;
using Npgsql;
using NpgsqlTypes;
using RuleEngineNats.CdcRelay.Outbox;
using RuleEngineNats.ChangeCapture;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.CdcRelay.Captures;

/// <summary>
/// One capture in this process, from the moment it holds the capture's advisory lock. The session with the lock writes the reports, which keeps it alive: the server
/// ends it when the process is gone, stopped or cut off, and another relay takes over.
/// </summary>
internal sealed class RunCapture : IAsyncDisposable
{
    private static readonly string Reporter = $"{Environment.MachineName}:{Environment.ProcessId}";

    private readonly NpgsqlConnection _lease;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Capture _capture;
    private readonly SnapshotBook _snapshots;
    private readonly Task _running;

    private RunCapture(NpgsqlConnection lease, CaptureDefinition definition, ConnectionSettings nats, Capture capture, SnapshotBook snapshots)
    {
        (_lease, Definition, Nats, _capture, _snapshots) = (lease, definition, nats, capture, snapshots);
        _running = capture.RunAsync(_stopping.Token);
    }

    public CaptureDefinition Definition { get; }

    public ConnectionSettings Nats { get; }

    public CaptureStatus Status => _capture.Status;

    /// <summary>Why it cannot go on; null while it can.</summary>
    public string? Problem => _running.Exception?.InnerException!.Message;

    public CaptureFailure? Failure => _running.Exception is { InnerException: var reason } ? (reason as CaptureException)?.Failure ?? CaptureFailure.Wrong : null;

    /// <returns>Null where another relay runs it.</returns>
    public static async Task<RunCapture?> StartAsync(
        RelayConnections connections, CaptureDefinition definition, ConnectionSettings nats, Func<IProgress<SnapshotProgress>, Capture> create, CancellationToken cancellationToken)
    {
        var lease = await connections.OpenLeaseAsync(cancellationToken);
        try
        {
            await using var command = new NpgsqlCommand("SELECT pg_try_advisory_lock(hashtextextended('rule_cdc ' || $1, 0))", lease) { Parameters = { new() { Value = definition.Name } } };
            if ((bool)(await command.ExecuteScalarAsync(cancellationToken))!)
            {
                var snapshots = new SnapshotBook();
                return new(lease, definition, nats, create(snapshots), snapshots);
            }
        }
        catch
        {
            await lease.DisposeAsync();
            throw;
        }

        await lease.DisposeAsync();
        return null;
    }

    public async Task ReportAsync(CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            INSERT INTO rule_cdc_reports AS r (capture_name, state, reason, warning, reported_by, events, lag, reported_at)
            SELECT c.capture_name, $2, $3, $4, $5, $6, $7, clock_timestamp() FROM rule_cdc_captures c WHERE c.capture_name = $1
            ON CONFLICT (capture_name) DO UPDATE SET state = EXCLUDED.state, reason = EXCLUDED.reason, warning = EXCLUDED.warning, reported_by = EXCLUDED.reported_by,
                   events = EXCLUDED.events, lag = EXCLUDED.lag, reported_at = EXCLUDED.reported_at
            """,
            _lease)
        {
            Parameters =
            {
                new() { Value = Definition.Name },
                new() { Value = Problem is null ? Status.State.ToString().ToLower(CultureInfo.InvariantCulture) : "failed" },
                new() { Value = (object?)(Problem ?? Status.Reason) ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text },
                new() { Value = (object?)Status.Warning ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text },
                new() { Value = Reporter },
                new() { Value = Status.Events },
                new() { Value = (object?)Status.Lag ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Interval },
            },
        };
        await command.ExecuteNonQueryAsync(cancellationToken);
        await _snapshots.WriteAsync(_lease, Definition.Name, cancellationToken);
    }

    /// <summary>Stores what is on its way, and gives up the lock.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _lease.DisposeAsync();
        _stopping.Dispose();
    }
}
