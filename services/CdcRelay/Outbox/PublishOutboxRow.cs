using System.Diagnostics;
using Microsoft.Extensions.Options;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.CdcRelay.Outbox;

/// <summary>
/// Publishes rows, many at once, in the order they are given, and hands what came of each to <see cref="MarkRows"/>.
/// </summary>
/// <remarks>
/// 1. the window is a bound on what is held in memory: while NATS is slow the caller waits, and reads no further.
/// 2. a row that another path has in hand is left to it.
/// 3. a row of a stream that is left alone, or of a server that has yet to be looked at, stays pending in the table, untouched; the scan comes back to it.
/// 4. a large body is put into the Object Store, and the next row waits for that: in the stream it comes after this one.
/// 5. the publish is sent; its answer is awaited elsewhere, so that the next row follows at once.
/// 6. whatever the answer is, the row is marked.
/// </remarks>
internal sealed partial class PublishOutboxRow(
    EventPublisher publisher,
    NatsConnections connections,
    PublishAdmission admission,
    PrepareLargeRow prepare,
    ConfigWatcher config,
    MarkRows marks,
    InFlightRows inFlight,
    StreamGates gates,
    Wakeups wakeups,
    IOptions<RelayOptions> options,
    IOptions<MessagingOptions> messaging,
    TimeProvider time,
    ILogger<PublishOutboxRow> logger) : IDisposable
{
    // A look at a server that was started anew takes a moment, and rows that wait for it keep their order. Restoring what was lost takes longer: then
    // rows are left in the table, so that other servers' rows do not wait behind them.
    private static readonly TimeSpan AdmissionWait = TimeSpan.FromSeconds(2);

    // One connection for all, as long as it is healthy: what is sent first is stored first. To a server that was started anew nothing goes
    // before the reconciler has seen what it still has.
    private readonly PublishLane _lane = new(admission);
    private readonly SemaphoreSlim _window = new(options.Value.MaxInFlight, options.Value.MaxInFlight);
    private long? _waitingSince;

    /// <summary>Returns when the row is sent, or left where it is.</summary>
    /// <param name="transaction">The WAL transaction that brought the row, null when the table did.</param>
    /// <param name="reading">Ends the waiting for room in the window.</param>
    /// <param name="working">Ends what is under way; later than <paramref name="reading"/>, so that a shutdown finishes it.</param>
    /// <returns>False for a row that was left where it is.</returns>
    public async ValueTask<bool> SendAsync(OutboxRow row, WalProgress.Transaction? transaction, CancellationToken reading, CancellationToken working)
    {
        await _window.WaitAsync(reading);
        if (!inFlight.TryTake(row, parked: transaction is null))
        {
            _window.Release();
            transaction?.RowSettled();
            return false;
        }

        var destination = Destination.Of(config.Current, row);
        if (!await AdmittedAsync(connections.Get(destination.Config), reading) || !MayPublish(row, destination))
        {
            _window.Release();
            inFlight.Settle(row.PublishId);
            if (transaction is not null)
            {
                transaction.RowSettled();
                wakeups.Scan.Set();
            }

            return false;
        }

        var (prepared, failed) = prepare.IsNeeded(row, destination.Config) ? await prepare.RunAsync(row, destination.Config, working) : (row, null);
        _ = FinishAsync(prepared, destination, failed, transaction, working);
        return true;
    }

    public void Dispose() => _window.Dispose();

    // A bucket that is unavailable holds up what needs it, and nothing else.
    private bool MayPublish(OutboxRow row, Destination destination)
    {
        if (!gates.MayPublish(destination.Gate))
        {
            return false;
        }

        if (prepare.IsNeeded(row, destination.Config) && !gates.MayPublish(PrepareLargeRow.GateOf(destination.Config)))
        {
            gates.Withdraw(destination.Gate);
            return false;
        }

        return true;
    }

    private async ValueTask<bool> AdmittedAsync(NatsConnectionPool pool, CancellationToken cancellationToken)
    {
        if (_lane.IsAdmitted(pool))
        {
            _waitingSince = null;
            return true;
        }

        var left = AdmissionWait - time.GetElapsedTime(_waitingSince ??= time.GetTimestamp());
        return left > TimeSpan.Zero && await _lane.WaitUntilAdmittedAsync(pool, left, cancellationToken);
    }

    // Everything up to the first await runs before the next row is looked at: sends keep their order.
    private async Task FinishAsync(
        OutboxRow row, Destination destination, PublishOutcome? failed, WalProgress.Transaction? transaction, CancellationToken cancellationToken)
    {
        PublishOutcome outcome;
        try
        {
            outcome = failed ?? await PublishAsync(row, destination, cancellationToken);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            // A bug must not stop the others; the row is tried again, later each time.
            PublishFailed(e, row.PublishId);
            outcome = new PublishOutcome.Unavailable(UnavailableReason.ServerError, e.Message);
        }
        finally
        {
            _window.Release();
        }

        if (failed is null)
        {
            gates.Observe(destination.Gate, outcome);
        }
        else
        {
            gates.Withdraw(destination.Gate);
        }

        var latency = time.GetUtcNow() - row.CommittedAt;
        Log(row, outcome, latency);
        await marks.EnqueueAsync(new(row, outcome, latency, transaction), cancellationToken);
    }

    private async Task<PublishOutcome> PublishAsync(OutboxRow row, Destination destination, CancellationToken cancellationToken)
    {
        if (OutboxMessage.ReadHeaders(row.Headers, out var headers) is { } refusal)
        {
            return refusal;
        }

        using var activity = StartActivity(row);
        var outcome = await SendAsync(OutboxMessage.Of(row, destination, headers, activity), cancellationToken);
        if (outcome is PublishOutcome.Refused { Reason: RefusalReason.WrongStream })
        {
            // The stream may have got its definition, or the subject another stream, a moment ago: a refusal is final, so look again first.
            var now = Destination.Of(await config.RefreshAsync(cancellationToken), row);
            if (now.Stream != destination.Stream)
            {
                outcome = await SendAsync(OutboxMessage.Of(row, now, headers, activity), cancellationToken);
            }
        }

        if (outcome is PublishOutcome.Refused or PublishOutcome.Unavailable)
        {
            activity?.SetStatus(ActivityStatusCode.Error);
        }

        return outcome;
    }

    private ValueTask<PublishOutcome> SendAsync(EventMessage message, CancellationToken cancellationToken)
        => publisher.PublishAsync(message, messaging.Value.PublishBudget, _lane, cancellationToken);

    private static Activity? StartActivity(OutboxRow row)
    {
        ActivityContext.TryParse(row.TraceParent, traceState: null, isRemote: true, out var parent);
        var activity = Telemetry.Source.StartActivity("relay outbox", ActivityKind.Internal, parent, startTime: row.CommittedAt);
        return activity?.SetTag("messaging.destination.name", row.Subject).SetTag("messaging.message.id", row.NatsMessageId);
    }

    private void Log(OutboxRow row, PublishOutcome outcome, TimeSpan latency)
    {
        switch (outcome)
        {
            case PublishOutcome.Refused refused:
                Refused(row.PublishId, row.WebhookId, row.Subject, refused.Reason, refused.Message);
                break;
            case PublishOutcome.Unavailable unavailable:
                Unavailable(row.PublishId, row.WebhookId, row.Subject, row.Attempts + 1, unavailable.Reason, unavailable.Message);
                break;
            case PublishOutcome.Stored stored:
                Stored(row.PublishId, row.WebhookId, row.Subject, stored.Stream, stored.Sequence, false, latency.TotalMilliseconds, row.Bytes);
                break;
            case PublishOutcome.Duplicate duplicate:
                Stored(row.PublishId, row.WebhookId, row.Subject, duplicate.Stream, duplicate.Sequence, true, latency.TotalMilliseconds, row.Bytes);
                break;
        }
    }

    // At Debug: one line for each event would cost more than the event.
    [LoggerMessage(Level = LogLevel.Debug, Message = "stored {PublishId} of webhook {WebhookId} on {Subject} in {Stream} at {Sequence}, duplicate {Duplicate}, {LatencyMs} ms after its commit, {Bytes} bytes")]
    private partial void Stored(long publishId, int? webhookId, string subject, string stream, ulong sequence, bool duplicate, double latencyMs, long bytes);

    [LoggerMessage(Level = LogLevel.Warning, Message = "refused {PublishId} of webhook {WebhookId} on {Subject}: {Reason}, {Message}")]
    private partial void Refused(long publishId, int? webhookId, string subject, RefusalReason reason, string message);

    [LoggerMessage(Level = LogLevel.Information, Message = "not stored yet: {PublishId} of webhook {WebhookId} on {Subject}, attempt {Attempt}: {Reason}, {Message}")]
    private partial void Unavailable(long publishId, int? webhookId, string subject, int attempt, UnavailableReason reason, string message);

    [LoggerMessage(Level = LogLevel.Error, Message = "publishing {PublishId} failed")]
    private partial void PublishFailed(Exception exception, long publishId);
}
