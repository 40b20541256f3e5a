using System.Diagnostics;
using Microsoft.Extensions.Options;
using NATS.Client.Core;

namespace RuleEngineNats.Messaging;

/// <summary>
/// The one way into JetStream. An attempt is a message with a reply subject; its answer decides, by <see cref="PublishDecision"/>, between an outcome
/// and a further attempt with the same id. Everything is bounded by the budget, but for putting a large body into the Object Store, which has a limit of its own.
/// </summary>
public sealed class EventPublisher(NatsConnections connections, PayloadObjects objects, IOptions<MessagingOptions> options, TimeProvider time)
{
    // Before the caller's deadline, so that the caller gets the outcome instead of a cancelled call.
    private static readonly TimeSpan MinimumAttempt = TimeSpan.FromMilliseconds(20);

    private readonly MessagingOptions _options = options.Value;

    /// <summary>Publishes within <see cref="MessagingOptions.PublishBudget"/>; see the other overload.</summary>
    public ValueTask<PublishOutcome> PublishAsync(EventMessage message, CancellationToken cancellationToken)
        => PublishAsync(message, _options.PublishBudget, null, cancellationToken);

    /// <summary>
    /// Publishes an event and waits for its acknowledgement. An attempt that meets a lost connection, silence or an error that passes is repeated
    /// with the same id while the budget lasts. A body that is too large for a message is put into the Object Store first. Throws only when cancelled, which
    /// leaves the outcome unknown.
    /// </summary>
    /// <param name="message">The event.</param>
    /// <param name="budget">Time for all attempts together.</param>
    /// <param name="lane">Keeps the order of publishes that follow each other; null where order does not matter.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async ValueTask<PublishOutcome> PublishAsync(EventMessage message, TimeSpan budget, PublishLane? lane, CancellationToken cancellationToken)
    {
        using var activity = StartActivity(message);
        var headers = EventHeaderSet.Create(message, time);
        var deadline = DeadlineOf(budget);
        var unanswered = false;
        for (var attempt = 1; ; attempt++)
        {
            if (connections.WhyNot(message.Config) is { } reason)
            {
                return unanswered ? PublishDecision.Disconnected(unanswered) : new PublishOutcome.Unavailable(UnavailableReason.Disconnected, reason);
            }

            // Anew for each attempt: the configuration may have changed.
            var pool = connections.Get(message.Config);
            using var use = pool.Begin();
            var remaining = Remaining(deadline);
            if ((lane is null ? pool.Pick() : lane.Pick(pool)) is not { } connection)
            {
                if (remaining < MinimumAttempt
                    || !await (lane?.WaitUntilAdmittedAsync(pool, remaining, cancellationToken) ?? WaitUntilHealthyAsync(pool, remaining, cancellationToken)))
                {
                    return PublishDecision.Disconnected(unanswered);
                }

                continue;
            }

            if (message.BodyObject is null && PayloadObjects.IsNeeded(connection, message.Body.Length))
            {
                (message, var failed) = await objects.PutAsync(message, cancellationToken);
                if (failed is not null)
                {
                    return failed;
                }

                headers = EventHeaderSet.Create(message, time);
                deadline = DeadlineOf(budget);
                continue;
            }

            var timeout = remaining < _options.AckTimeout ? remaining : _options.AckTimeout;
            var ack = await SendAsync(connection, message, headers, timeout, cancellationToken);
            unanswered |= ack.Kind is AckKind.TimedOut or AckKind.ConnectionLost;
            var decision = PublishDecision.Of(ack, attempt, unanswered);
            if (decision.Outcome is PublishOutcome.Duplicate duplicate)
            {
                return await StoredMessages.CompareAsync(connection.Connection, duplicate, headers.BodySha256, Remaining(deadline), cancellationToken);
            }

            var wait = decision.Delay * Random.Shared.NextDouble();
            if (!decision.Repeat || wait + MinimumAttempt > Remaining(deadline))
            {
                return decision.Outcome;
            }

            await Task.Delay(wait, time, cancellationToken);
        }
    }

    private static Activity? StartActivity(EventMessage message)
        => Activity.Current is null && message.TraceParent is { } parent && Telemetry.Source.HasListeners()
            && ActivityContext.TryParse(parent, null, isRemote: true, out var context)
            ? Telemetry.Source.StartActivity($"publish {message.Subject}", ActivityKind.Producer, context)
            : null;

    private static async ValueTask<bool> WaitUntilHealthyAsync(NatsConnectionPool pool, TimeSpan timeout, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(timeout);
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

    private async ValueTask<PubAck> SendAsync(
        PoolConnection connection, EventMessage message, EventHeaderSet headers, TimeSpan timeout, CancellationToken cancellationToken)
    {
        var place = await connection.Acks.RentAsync(timeout, cancellationToken);
        var answered = false;
        try
        {
            var ack = await SendAsync(connection, place, message, headers, timeout, cancellationToken);
            answered = ack.Kind is AckKind.Answered or AckKind.NoResponders or AckKind.Malformed;
            Note(connection, ack.Kind);
            cancellationToken.ThrowIfCancellationRequested();
            return ack;
        }
        catch (NatsPayloadTooLargeException exception)
        {
            return new PubAck(AckKind.Answered, null, 0, false, 400, PublishDecision.PayloadTooLarge, exception.Message);
        }
        catch (TimeoutException)
        {
            connection.Unanswered();
            return PubAck.Of(AckKind.TimedOut);
        }
        catch (Exception exception) when (exception is NatsException or ObjectDisposedException)
        {
            return PubAck.Of(AckKind.ConnectionLost);
        }
        finally
        {
            connection.Acks.Return(place, answered);
        }
    }

    private async ValueTask<PubAck> SendAsync(
        PoolConnection connection, PendingAck place, EventMessage message, EventHeaderSet headers, TimeSpan timeout, CancellationToken cancellationToken)
    {
        // Disposal waits for a callback that is running, so that it cannot meet the next use of the place.
        await using var cancellation = cancellationToken.UnsafeRegister(static place => ((PendingAck)place!).TryComplete(PubAck.Of(AckKind.TimedOut)), place);
        connection.Sent();
        var sending = connection.Connection.PublishAsync(
            message.Subject, message.BodyObject is null ? message.Body : default, headers.Headers, place.ReplySubject, NatsRawSerializer<ReadOnlyMemory<byte>>.Default, cancellationToken: CancellationToken.None);
        if (!sending.IsCompletedSuccessfully)
        {
            // A socket that takes nothing more must not outlast the budget.
            await sending.AsTask().WaitAsync(timeout, time, cancellationToken);
        }

        return await place.WaitAsync();
    }

    private static void Note(PoolConnection connection, AckKind kind)
    {
        if (kind == AckKind.TimedOut)
        {
            connection.Unanswered();
        }
        else if (kind != AckKind.ConnectionLost)
        {
            connection.Answered();
        }
    }

    private long DeadlineOf(TimeSpan budget) => time.GetTimestamp() + (long)(budget.TotalSeconds * time.TimestampFrequency);

    private TimeSpan Remaining(long deadline) => time.GetElapsedTime(time.GetTimestamp(), deadline);
}
