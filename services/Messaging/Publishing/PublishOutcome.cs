namespace RuleEngineNats.Messaging;

/// <summary>How a publish ended: <see cref="Stored"/>, <see cref="Duplicate"/>, <see cref="Refused"/> or <see cref="Unavailable"/>; there is no fifth.</summary>
public abstract record PublishOutcome
{
    private PublishOutcome()
    {
    }

    /// <summary>JetStream acknowledged it.</summary>
    /// <param name="Stream">Name of the stream, never empty.</param>
    /// <param name="Sequence">Sequence in the stream, 1 or greater.</param>
    public sealed record Stored(string Stream, ulong Sequence) : PublishOutcome;

    /// <summary>
    /// An event with this id and this body is in the stream already: counts as stored. It may be an earlier attempt of the same call whose
    /// acknowledgement was lost.
    /// </summary>
    /// <param name="Stream">Name of the stream, never empty.</param>
    /// <param name="Sequence">Sequence of the event that is there, 1 or greater.</param>
    public sealed record Duplicate(string Stream, ulong Sequence) : PublishOutcome;

    /// <summary>It is not stored and never will be, however often it is repeated.</summary>
    /// <param name="Reason">Why.</param>
    /// <param name="Message">For people; without payload or credentials.</param>
    public sealed record Refused(RefusalReason Reason, string Message) : PublishOutcome;

    /// <summary>It could not be stored now; repeat it with the same id.</summary>
    /// <param name="Reason">Why.</param>
    /// <param name="Message">For people; without payload or credentials.</param>
    public sealed record Unavailable(UnavailableReason Reason, string Message) : PublishOutcome;
}

/// <summary>Why an event can never be stored.</summary>
public enum RefusalReason
{
    /// <summary>The id was used before with another body; what is stored is unchanged.</summary>
    BodyMismatch,

    /// <summary>Larger than the server (max_payload) or the stream (max_msg_size, 10054) takes.</summary>
    TooLarge,

    /// <summary>Another stream than the expected one has this subject (10060).</summary>
    WrongStream,

    /// <summary>The subject is not one to publish to.</summary>
    InvalidSubject,

    /// <summary>The server cannot take the headers (10097 and the like).</summary>
    InvalidHeader,

    /// <summary>The server does not let this service publish to the subject.</summary>
    PermissionDenied,

    /// <summary>The stream is sealed, a mirror, or refuses for another reason that does not pass (an expected sequence, for one: 10071).</summary>
    Rejected,
}

/// <summary>Why an event could not be stored now.</summary>
public enum UnavailableReason
{
    /// <summary>No stream takes the subject (503 no responders) or JetStream is off (10039, 10076). It is not stored.</summary>
    NoStream,

    /// <summary>The stream or the server has no room (10077, 10023, 10047). It is not stored.</summary>
    StreamFull,

    /// <summary>Sent, and not answered in time: whether it is stored is unknown.</summary>
    Timeout,

    /// <summary>No connection to the server; nothing was sent.</summary>
    Disconnected,

    /// <summary>The server answered with another error that may pass (10008, 10009, 10118, 10158, 10167 and 5xx). It is not stored.</summary>
    ServerError,
}
