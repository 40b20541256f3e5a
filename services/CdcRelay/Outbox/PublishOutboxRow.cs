using System.Diagnostics;
using System.Text.Json;
using Microsoft.Extensions.Options;
using RuleEngineNats.Contracts;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.CdcRelay.Outbox;

/// <summary>
/// Publishes rows, many at once, in the order they are given, and hands what came of each to <see cref="MarkRows"/>.
/// </summary>
/// <remarks>
/// 1. the window is a bound on what is held in memory: while NATS is slow the caller waits, and reads no further.
/// 2. a row that another path has in hand is left to it.
/// 3. a row of a stream that is left alone stays pending in the table, untouched; the scan comes back to it.
/// 4. the publish is sent; its answer is awaited elsewhere, so that the next row follows at once.
/// 5. whatever the answer is, the row is marked.
/// </remarks>
internal sealed partial class PublishOutboxRow(
    EventPublisher publisher,
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
    // One connection for all, as long as it is healthy: what is sent first is stored first.
    private readonly PublishLane _lane = new();
    private readonly SemaphoreSlim _window = new(options.Value.MaxInFlight, options.Value.MaxInFlight);

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
        if (!gates.MayPublish(destination.Gate))
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

        _ = FinishAsync(row, destination, transaction, working);
        return true;
    }

    public void Dispose() => _window.Dispose();

    // Everything up to the first await runs before the next row is looked at: sends keep their order.
    private async Task FinishAsync(OutboxRow row, Destination destination, WalProgress.Transaction? transaction, CancellationToken cancellationToken)
    {
        PublishOutcome outcome;
        try
        {
            outcome = await PublishAsync(row, destination, cancellationToken);
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

        gates.Observe(destination.Gate, outcome);
        var latency = time.GetUtcNow() - row.CommittedAt;
        Log(row, outcome, latency);
        await marks.EnqueueAsync(new(row, outcome, latency, transaction), cancellationToken);
    }

    private async Task<PublishOutcome> PublishAsync(OutboxRow row, Destination destination, CancellationToken cancellationToken)
    {
        if (ReadHeaders(row.Headers, out var headers) is { } refusal)
        {
            return refusal;
        }

        using var activity = StartActivity(row);
        var outcome = await SendAsync(Message(row, destination, headers, activity), cancellationToken);
        if (outcome is PublishOutcome.Refused { Reason: RefusalReason.WrongStream })
        {
            // The stream may have got its definition, or the subject another stream, a moment ago: a refusal is final, so look again first.
            var now = Destination.Of(await config.RefreshAsync(cancellationToken), row);
            if (now.Stream != destination.Stream)
            {
                outcome = await SendAsync(Message(row, now, headers, activity), cancellationToken);
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

    private static EventMessage Message(
        OutboxRow row, Destination destination, IReadOnlyList<KeyValuePair<string, string>> headers, Activity? activity)
        => new(row.Subject, row.Body, row.NatsMessageId, destination.Stream)
        {
            Config = destination.Config,
            WebhookId = row.WebhookId,
            CallId = row.CallId,
            TraceParent = activity?.Id ?? row.TraceParent,
            RuleExecutionId = row.RuleExecutionId,
            BodySha256 = row.BodySha256,
            Time = row.PublishedAt,
            Headers = headers,
        };

    private static Activity? StartActivity(OutboxRow row)
    {
        ActivityContext.TryParse(row.TraceParent, traceState: null, isRemote: true, out var parent);
        var activity = Telemetry.Source.StartActivity("relay outbox", ActivityKind.Internal, parent, startTime: row.CommittedAt);
        return activity?.SetTag("messaging.destination.name", row.Subject).SetTag("messaging.message.id", row.NatsMessageId);
    }

    private static PublishOutcome.Refused? ReadHeaders(string? json, out IReadOnlyList<KeyValuePair<string, string>> headers)
    {
        headers = [];
        if (json is null)
        {
            return null;
        }

        var read = new List<KeyValuePair<string, string>>();
        using var document = JsonDocument.Parse(json);
        if (document.RootElement.ValueKind is not JsonValueKind.Object)
        {
            return new(RefusalReason.InvalidHeader, "headers is not a JSON object");
        }

        foreach (var header in document.RootElement.EnumerateObject())
        {
            // CloudEvents attributes take the place of ours, however they are written.
            var name = header.Name.StartsWith("ce-", StringComparison.OrdinalIgnoreCase) ? header.Name.ToLowerInvariant() : header.Name;
            read.Add(new(name, header.Value.ValueKind is JsonValueKind.String ? header.Value.GetString()! : header.Value.GetRawText()));
        }

        headers = read;
        return HeaderRules.Check(read) is { } problem ? new(RefusalReason.InvalidHeader, problem.ToString()) : null;
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
                Stored(row.PublishId, row.WebhookId, row.Subject, stored.Stream, stored.Sequence, false, latency.TotalMilliseconds, row.Body.Length);
                break;
            case PublishOutcome.Duplicate duplicate:
                Stored(row.PublishId, row.WebhookId, row.Subject, duplicate.Stream, duplicate.Sequence, true, latency.TotalMilliseconds, row.Body.Length);
                break;
        }
    }

    // At Debug: one line for each event would cost more than the event.
    [LoggerMessage(Level = LogLevel.Debug, Message = "stored {PublishId} of webhook {WebhookId} on {Subject} in {Stream} at {Sequence}, duplicate {Duplicate}, {LatencyMs} ms after its commit, {Bytes} bytes")]
    private partial void Stored(long publishId, int? webhookId, string subject, string stream, ulong sequence, bool duplicate, double latencyMs, int bytes);

    [LoggerMessage(Level = LogLevel.Warning, Message = "refused {PublishId} of webhook {WebhookId} on {Subject}: {Reason}, {Message}")]
    private partial void Refused(long publishId, int? webhookId, string subject, RefusalReason reason, string message);

    [LoggerMessage(Level = LogLevel.Information, Message = "not stored yet: {PublishId} of webhook {WebhookId} on {Subject}, attempt {Attempt}: {Reason}, {Message}")]
    private partial void Unavailable(long publishId, int? webhookId, string subject, int attempt, UnavailableReason reason, string message);

    [LoggerMessage(Level = LogLevel.Error, Message = "publishing {PublishId} failed")]
    private partial void PublishFailed(Exception exception, long publishId);
}
