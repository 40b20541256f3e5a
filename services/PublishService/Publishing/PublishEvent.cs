using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Security.Cryptography;
using Microsoft.Extensions.Options;
using Npgsql;
using RuleEngineNats.Contracts.Publishing;
using RuleEngineNats.Messaging;
using RuleEngineNats.PublishService.Keys;

namespace RuleEngineNats.PublishService.Publishing;

/// <summary>
/// Handles one event in two steps, so that a stream of events can be prepared side by side and sent in order:
/// <code>
/// PrepareAsync   1 check the request   2 find its target   3 look its id up (only an id the client gave, on a webhook that remembers ids)
///                4 put a large body into the Object Store
/// SendAsync      5 write it first, if asked to (a large body is put after that)   6 publish   7 hand the history row over
/// </code>
/// A client that goes away after step 5 has begun cancels nothing: what is stored gets its history row.
/// </summary>
internal sealed partial class PublishEvent(
    ConfigWatcher configuration,
    MessageKeys keys,
    PendingEvents pending,
    EventPublisher publisher,
    PayloadObjects objects,
    HistoryWriter history,
    IOptions<MessagingOptions> messaging,
    TimeProvider time,
    ILogger<PublishEvent> logger)
{
    private static readonly Histogram<double> Duration = Telemetry.Meter.CreateHistogram<double>(
        "ruleengine.publish.duration", "s", "Time from the beginning of the handling of an event to its end.");

    private readonly int _maxBodyBytes = messaging.Value.MaxBodyBytes;

    public async ValueTask<PreparedEvent> PrepareAsync(PublishRequest request, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        var (headers, problems) = ReadRequest.Read(request, _maxBodyBytes);
        if (problems is not null)
        {
            return new PreparedEvent(began, new PublishVerdict.Malformed(problems));
        }

        var (target, declined) = FindTarget.In(configuration.Current, request);
        if (target is null)
        {
            (target, declined) = await FindAgainAsync(request, declined!, cancellationToken);
        }

        if (target is null)
        {
            return new PreparedEvent(began, declined!);
        }

        var prepared = Prepare(began, request, target, headers);
        if (prepared.WriteFirst)
        {
            return prepared;
        }

        if (request.MessageId.Length > 0 && target.RememberFor is not null)
        {
            prepared = await LookUpAsync(prepared, cancellationToken);
        }

        return prepared.Verdict is null && objects.IsNeeded(target.Config.Name, request.Payload.Length) ? await PutAsync(prepared, cancellationToken) : prepared;
    }

    public async ValueTask<PublishVerdict> SendAsync(PreparedEvent prepared, TimeSpan budget, PublishLane? lane)
    {
        var verdict = prepared.Verdict ?? (prepared.WriteFirst ? await WriteFirstAsync(prepared) : null) ?? await PublishAsync(prepared, budget, lane);
        var elapsed = time.GetElapsedTime(prepared.Began);
        Duration.Record(elapsed.TotalSeconds, new KeyValuePair<string, object?>("outcome", verdict.GetType().Name));
        if (verdict is not PublishVerdict.Stored && logger.IsEnabled(LogLevel.Information))
        {
            var detail = PublishVerdictText.Of(verdict);
            LogNotStored(prepared.Message?.MessageId, prepared.Message?.Subject, verdict.GetType().Name, detail, elapsed.TotalMilliseconds);
        }

        return verdict;
    }

    // What is not in the snapshot may have been committed a moment ago, by the very client that asks.
    private async Task<(EventTarget? Target, PublishVerdict.Declined? Declined)> FindAgainAsync(
        PublishRequest request, PublishVerdict.Declined declined, CancellationToken cancellationToken)
    {
        try
        {
            return FindTarget.In(await configuration.RefreshSharedAsync(cancellationToken), request);
        }
        catch (NpgsqlException)
        {
            return (null, configuration.HasSnapshot
                ? declined
                : new PublishVerdict.Declined(DeclineReason.DatabaseUnavailable, string.Empty, "the configuration has not been read yet"));
        }
    }

    private PreparedEvent Prepare(long began, PublishRequest request, EventTarget target, IReadOnlyList<KeyValuePair<string, string>> headers)
    {
        var now = time.GetUtcNow();
        var messageId = request.MessageId.Length > 0 ? request.MessageId : Guid.CreateVersion7(now).ToString();
        var (type, source, rest) = CloudEventHeaders.Split(headers);
        var message = new EventMessage(target.Subject, request.Payload.Memory, target.NatsMessageId(messageId), target.Stream)
        {
            Config = target.Config.Name,
            WebhookId = target.Webhook?.Id,
            BodySha256 = SHA256.HashData(request.Payload.Span),
            TraceParent = Activity.Current is { IdFormat: ActivityIdFormat.W3C } activity ? activity.Id : null,
            CloudEventType = type,
            CloudEventSource = source,
            Time = now,
            Headers = rest,
        };
        return new PreparedEvent(began, null)
        {
            Message = message,
            MessageId = messageId,
            ConfigId = target.Config.Id,
            RememberFor = request.MessageId.Length > 0 ? target.RememberFor : null,
            WriteFirst = request.Durability == Durability.History,
        };
    }

    private async ValueTask<PreparedEvent> LookUpAsync(PreparedEvent prepared, CancellationToken cancellationToken)
    {
        try
        {
            var key = await keys.FindAsync(prepared.Message!.WebhookId!.Value, prepared.MessageId).WaitAsync(cancellationToken);
            return prepared with { Verdict = KnownAs(key, prepared), HasRow = key is not null };
        }
        catch (NpgsqlException exception)
        {
            // Publishing all the same could store an event twice that was stored yesterday.
            return prepared with { Verdict = DatabaseUnavailable(exception) };
        }
    }

    private async ValueTask<PreparedEvent> PutAsync(PreparedEvent prepared, CancellationToken cancellationToken)
    {
        var (message, failed) = await objects.PutAsync(prepared.Message!, cancellationToken);
        return prepared with { Message = message, Verdict = failed is null ? null : new PublishVerdict.NotStored(failed, prepared.MessageId) };
    }

    private async ValueTask<PublishVerdict?> WriteFirstAsync(PreparedEvent prepared)
    {
        try
        {
            var key = await pending.InsertAsync(prepared.Message!, prepared.MessageId, prepared.ConfigId, prepared.RememberFor, CancellationToken.None);
            return KnownAs(key, prepared);
        }
        catch (Exception exception) when (exception is NpgsqlException or TimeoutException)
        {
            return DatabaseUnavailable(exception);
        }
    }

    private PublishVerdict? KnownAs(MessageKey? key, PreparedEvent prepared) => key switch
    {
        null => null,
        _ when !key.BodySha256.AsSpan().SequenceEqual(prepared.Message!.BodySha256.Span) => new PublishVerdict.Declined(
            DeclineReason.MessageIdReused, "message_id", "message_id: it was used before with another body"),
        { Stream: { } stream, Sequence: > 0 } => new PublishVerdict.Stored(Response(prepared, stream, key.Sequence, duplicate: true)),
        // Accepted before, not stored yet as far as is known: publishing it stores it, or finds it stored.
        _ => null,
    };

    private async ValueTask<PublishVerdict> PublishAsync(PreparedEvent prepared, TimeSpan budget, PublishLane? lane)
    {
        var sent = time.GetTimestamp();
        var outcome = await publisher.PublishAsync(prepared.Message!, budget, lane, CancellationToken.None);
        if (outcome is not PublishOutcome.Unavailable && !prepared.WriteFirst && !prepared.HasRow)
        {
            await history.EnqueueAsync(
                new HistoryRow(prepared.Message!, outcome, prepared.Message!.Time!.Value, time.GetElapsedTime(sent))
                {
                    MessageId = prepared.MessageId,
                    ConfigId = prepared.ConfigId,
                    RememberFor = prepared.RememberFor,
                },
                CancellationToken.None);
        }

        return outcome switch
        {
            PublishOutcome.Stored stored => new PublishVerdict.Stored(Response(prepared, stored.Stream, stored.Sequence, duplicate: false)),
            PublishOutcome.Duplicate stored => new PublishVerdict.Stored(Response(prepared, stored.Stream, stored.Sequence, duplicate: true)),
            PublishOutcome.Unavailable when prepared.WriteFirst => new PublishVerdict.Pending(prepared.MessageId),
            _ => new PublishVerdict.NotStored(outcome, prepared.MessageId),
        };
    }

    private PublishResponse Response(PreparedEvent prepared, string stream, ulong sequence, bool duplicate) => new()
    {
        Stream = stream,
        Sequence = sequence,
        Duplicate = duplicate,
        MessageId = prepared.MessageId,
        Subject = prepared.Message!.Subject,
        LatencyMs = time.GetElapsedTime(prepared.Began).TotalMilliseconds,
    };

    private PublishVerdict.Declined DatabaseUnavailable(Exception exception)
    {
        LogDatabaseUnavailable(exception.Message);
        return new PublishVerdict.Declined(DeclineReason.DatabaseUnavailable, string.Empty, "the message id could not be checked against the history");
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Event {MessageId} to {Subject} {Verdict} after {Milliseconds} ms: {Detail}")]
    private partial void LogNotStored(string? messageId, string? subject, string verdict, string detail, double milliseconds);

    [LoggerMessage(Level = LogLevel.Warning, Message = "PostgreSQL is not available to a publish: {Reason}")]
    private partial void LogDatabaseUnavailable(string reason);
}

/// <summary>An event on its way: ready to be sent, or decided already.</summary>
internal sealed record PreparedEvent(long Began, PublishVerdict? Verdict)
{
    public EventMessage? Message { get; init; }

    public string MessageId { get; init; } = string.Empty;

    public int ConfigId { get; init; }

    public TimeSpan? RememberFor { get; init; }

    public bool WriteFirst { get; init; }

    /// <summary>The event has its history row already.</summary>
    public bool HasRow { get; init; }
}
