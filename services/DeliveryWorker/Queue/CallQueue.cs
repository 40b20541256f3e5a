using Npgsql;
using NpgsqlTypes;
using RuleEngineNats.DeliveryWorker.Delivery;

namespace RuleEngineNats.DeliveryWorker.Queue;

/// <summary>The lease of the call that an event with <c>rule-call-id</c> belongs to.</summary>
/// <param name="Ours">False when the queue path has it or has finished it.</param>
internal readonly record struct EventLease(int WebhookId, string EventId, int RetryCount, int Attempt, bool Ours);

/// <summary>The statements by which workers share <c>rule_webhook_calls</c>. The clock is that of PostgreSQL alone.</summary>
internal sealed partial class CallQueue(NpgsqlDataSource database, TimeProvider time, ILogger<CallQueue> logger)
{
    private static readonly TimeSpan LastWord = TimeSpan.FromSeconds(2);

    // A call that another path opened keeps its row; whoever finds one may not take this event over.
    private const string OpenSql = """
        INSERT INTO rule_webhook_calls (webhook_id, event_id, status, payload, body, subject, request_headers, trace_parent, attempts, started_at, leased_by, lease_until)
        VALUES ($1, $2, 'processing', $3, $4, $5, $6, $7, 1, now(), $8, now() + $9)
        ON CONFLICT (event_id, webhook_id) DO NOTHING RETURNING call_id
        """;

    private const string LeaseSql = """
        SELECT webhook_id, event_id, retry_count, attempts + 1, rule_webhook_lease(call_id, $2, $3) FROM rule_webhook_calls WHERE call_id = $1 AND webhook_id = ANY($4)
        """;

    private const string ReleaseSql = """
        UPDATE rule_webhook_calls
           SET attempts = attempts - CASE WHEN $3 THEN 0 ELSE 1 END, status = CASE WHEN retry_count > 0 THEN 'retrying' ELSE 'pending' END,
               scheduled_at = CASE WHEN retry_count > 0 THEN scheduled_at ELSE now() END,
               next_retry_at = CASE WHEN retry_count > 0 THEN now() END, leased_by = NULL, lease_until = NULL
         WHERE call_id = $1 AND leased_by = $2 AND status = 'processing'
        """;

    /// <summary>Leases the call of an event; null when none of these webhooks has such a call, which then needs no lease.</summary>
    public async Task<EventLease?> LeaseAsync(long callId, int[] webhooks, TimeSpan lease, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(LeaseSql);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = callId });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = DeliveryWorkerInfo.InstanceId });
        command.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = lease, NpgsqlDbType = NpgsqlDbType.Interval });
        command.Parameters.Add(new NpgsqlParameter<int[]> { TypedValue = webhooks });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? new EventLease(reader.GetInt32(0), reader.GetString(1), reader.GetInt32(2), reader.GetInt32(3), reader.GetBoolean(4))
            : null;
    }

    /// <summary>Makes a leased call of an event whose first attempt is under way; null when the event has a call already.</summary>
    public async Task<long?> OpenLeasedAsync(int webhookId, OutgoingEvent outgoing, TimeSpan lease, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(OpenSql);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = webhookId });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = outgoing.EventId });
        command.Parameters.Add(new() { Value = CallRows.Payload(outgoing.Body), NpgsqlDbType = NpgsqlDbType.Jsonb });
        command.Parameters.Add(new NpgsqlParameter<byte[]> { TypedValue = outgoing.Body.ToArray() });
        command.Parameters.Add(new() { Value = (object?)outgoing.Subject ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text });
        command.Parameters.Add(new() { Value = (object?)CallRows.EventHeadersJson(outgoing) ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Jsonb });
        command.Parameters.Add(new() { Value = (object?)outgoing.TraceParent ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = DeliveryWorkerInfo.InstanceId });
        command.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = lease, NpgsqlDbType = NpgsqlDbType.Interval });
        return (long?)await command.ExecuteScalarAsync(cancellationToken);
    }

    /// <summary>Gives a lease back at once, so that another worker need not wait for its end.</summary>
    /// <param name="callId">The call.</param>
    /// <param name="tried">Whether a request was begun.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task ReleaseAsync(long callId, bool tried, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(ReleaseSql);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = callId });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = DeliveryWorkerInfo.InstanceId });
        command.Parameters.Add(new NpgsqlParameter<bool> { TypedValue = tried });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Gives back the lease of a call whose request a stop has cut off; failing that it ends by itself.</summary>
    public async Task GiveBackAsync(long callId)
    {
        try
        {
            using var limit = new CancellationTokenSource(LastWord, time);
            await ReleaseAsync(callId, tried: true, limit.Token);
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException or OperationCanceledException)
        {
            LeaveToLease(callId, e);
        }
    }

    /// <summary>Says that a call ended without a record: it is taken up again when its lease has ended, since at once would repeat what failed just now.</summary>
    public void LeaveToLease(long callId, Exception reason) => LogNotRecorded(callId, reason.Message);

    [LoggerMessage(Level = LogLevel.Warning, Message = "call {CallId} ended without a record and is taken up again after its lease: {Reason}")]
    private partial void LogNotRecorded(long callId, string reason);
}
