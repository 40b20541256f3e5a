using System.Globalization;
using NATS.Client.Core;
using RuleEngineNats.Contracts;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.ChangeCapture.Outputs;

/// <summary>Sends one event to the stream, on condition of what the stream's last message is.</summary>
internal sealed class ChainedPublish(JetStreamConnection server, CaptureOptions options, SourceIdentity source, string? contentType, TimeProvider time)
{
    private const int WrongLastMessageId = 10070;

    private static readonly TimeSpan AckTimeout = TimeSpan.FromSeconds(2.5);

    private readonly string _source = source.ToString();

    /// <summary>Returns when it is on its way; the task it returns is what became of it.</summary>
    public async ValueTask<Task<PublishAttempt>> SendAsync(OutgoingEvent outgoing, string? expectedLast)
    {
        var headers = new NatsHeaders(6)
        {
            [EventHeaders.MessageId] = outgoing.MessageId,
            [EventHeaders.ExpectedStream] = options.NatsStream,
            [EventHeaders.CaptureSource] = _source,
        };
        if (expectedLast is not null)
        {
            headers[EventHeaders.ExpectedLastMessageId] = expectedLast;
        }

        if (outgoing.Place is { } read)
        {
            headers[EventHeaders.CaptureSnapshot] = read.ToHeader();
        }

        if (outgoing.Part > 0)
        {
            headers[EventHeaders.CapturePart] = outgoing.Part.ToString(CultureInfo.InvariantCulture);
        }

        if (contentType is not null)
        {
            headers[EventHeaders.ContentType] = contentType;
        }

        var place = await server.Acks.RentAsync(AckTimeout, CancellationToken.None);
        try
        {
            var sending = server.Connection.PublishAsync(
                outgoing.Subject, outgoing.Body, headers, place.ReplySubject, NatsRawSerializer<byte[]>.Default, cancellationToken: CancellationToken.None);
            if (!sending.IsCompletedSuccessfully)
            {
                await sending.AsTask().WaitAsync(AckTimeout, time);
            }

            return AwaitAsync(place);
        }
        catch (NatsPayloadTooLargeException exception)
        {
            server.Acks.Return(place, answered: false);
            return Task.FromResult(new PublishAttempt(new PublishOutcome.Refused(RefusalReason.TooLarge, exception.Message), Interleaved: false));
        }
        catch (Exception exception)
        {
            // Whatever it is, the event is not known to be stored: it is sent again.
            server.Acks.Return(place, answered: false);
            return Task.FromResult(new PublishAttempt(
                new PublishOutcome.Unavailable(UnavailableReason.Disconnected, $"no connection to nats-server: {NatsUrls.Redact(exception.Message)}"), Interleaved: false));
        }
    }

    private async Task<PublishAttempt> AwaitAsync(PendingAck place)
    {
        var ack = await place.WaitAsync();
        server.Acks.Return(place, answered: ack.Kind is AckKind.Answered or AckKind.NoResponders or AckKind.Malformed);
        return new(PublishDecision.Of(ack, attempt: 1, unanswered: false).Outcome, ack.ErrorCode == WrongLastMessageId);
    }
}

/// <summary>What became of a publish.</summary>
/// <param name="Interleaved">It was refused because the stream's last message is not the one it expects.</param>
internal readonly record struct PublishAttempt(PublishOutcome Outcome, bool Interleaved)
{
    public bool IsStored => Outcome is PublishOutcome.Stored or PublishOutcome.Duplicate;

    /// <summary>Whether it may be stored or not.</summary>
    public bool IsUnknown => Outcome is PublishOutcome.Unavailable { Reason: UnavailableReason.Timeout or UnavailableReason.Disconnected };
}
