namespace RuleEngineNats.Messaging;

/// <summary>What an answer means: the outcome it is so far, and whether another attempt may change it.</summary>
internal readonly record struct PublishDecision(PublishOutcome Outcome, bool Repeat, TimeSpan Delay)
{
    /// <summary>Message size exceeds the maximum: the stream's, or the server's as the driver checks it before sending.</summary>
    public const int PayloadTooLarge = 10054;

    // 503 passes within a second or, where there is no stream, never.
    private const int NoRespondersAttempts = 4;

    private static readonly TimeSpan FirstDelay = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestDelay = TimeSpan.FromSeconds(2);

    public static PublishDecision Of(in PubAck ack, int attempt, bool unanswered) => ack.Kind switch
    {
        AckKind.NoResponders when !unanswered => new(
            new PublishOutcome.Unavailable(UnavailableReason.NoStream, "no stream takes the subject (503 no responders)"),
            attempt < NoRespondersAttempts,
            Backoff(attempt)),
        AckKind.NoResponders => Again(Unknown(), attempt),
        AckKind.TimedOut or AckKind.ConnectionLost => Again(Unknown(), attempt),
        AckKind.Malformed => Again(Unknown(), attempt),
        _ when ack.ErrorCode != 0 || ack.Code != 0 => OfError(ack, attempt),
        // Some servers have answered so for an id that was never stored: a place is what proves that it is.
        _ when string.IsNullOrEmpty(ack.Stream) || ack.Sequence == 0 => Again(
            new PublishOutcome.Unavailable(UnavailableReason.ServerError, "the server acknowledged without a stream and a sequence"), attempt),
        _ when ack.Duplicate => Final(new PublishOutcome.Duplicate(ack.Stream, ack.Sequence)),
        _ => Final(new PublishOutcome.Stored(ack.Stream, ack.Sequence)),
    };

    public static PublishOutcome Disconnected(bool unanswered)
        => unanswered ? Unknown() : new PublishOutcome.Unavailable(UnavailableReason.Disconnected, "no connection to nats-server");

    private static PublishDecision OfError(in PubAck ack, int attempt)
    {
        var message = $"{ack.Description ?? "error"} ({(ack.ErrorCode == 0 ? ack.Code : ack.ErrorCode)})";
        return ack.ErrorCode switch
        {
            PayloadTooLarge => Refused(RefusalReason.TooLarge, message),
            10060 => Refused(RefusalReason.WrongStream, message),
            // Expected sequence or id not met, sealed, mirror, no rollup, no TTL, and the like: properties of message and stream that stay.
            10070 or 10071 or 10109 or 10111 or 10164 or 10165 or 10166 => Refused(RefusalReason.Rejected, message),
            10097 => Refused(RefusalReason.InvalidHeader, message),
            10077 or 10023 or 10047 => Final(new PublishOutcome.Unavailable(UnavailableReason.StreamFull, message)),
            10039 or 10076 or 10059 => Final(new PublishOutcome.Unavailable(UnavailableReason.NoStream, message)),
            // 10008, 10009, 10118, 10158, 10167 and whatever is not known: unknown means repeat, never drop.
            _ => Again(new PublishOutcome.Unavailable(UnavailableReason.ServerError, message), attempt),
        };
    }

    private static PublishOutcome.Unavailable Unknown()
        => new(UnavailableReason.Timeout, "nats-server did not answer in time: whether the event is stored is unknown");

    private static PublishDecision Refused(RefusalReason reason, string message) => Final(new PublishOutcome.Refused(reason, message));

    private static PublishDecision Final(PublishOutcome outcome) => new(outcome, false, TimeSpan.Zero);

    private static PublishDecision Again(PublishOutcome outcome, int attempt) => new(outcome, true, Backoff(attempt));

    // 100, 200, 400, 800, 1600, 2000 ms, of which the publisher takes a random part.
    private static TimeSpan Backoff(int attempt)
    {
        var delay = FirstDelay * Math.Pow(2, Math.Min(attempt - 1, 10));
        return delay < LongestDelay ? delay : LongestDelay;
    }
}
