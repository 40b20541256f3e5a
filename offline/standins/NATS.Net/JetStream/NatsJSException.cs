using NATS.Client.Core;
using NATS.Client.JetStream.Models;

namespace NATS.Client.JetStream;

public class NatsJSException : NatsException
{
    public NatsJSException(string message)
        : base(message)
    {
    }

    public NatsJSException(string message, Exception exception)
        : base(message, exception)
    {
    }
}

/// <summary>A pull ended with a status that waiting does not cure.</summary>
public class NatsJSProtocolException : NatsJSException
{
    public NatsJSProtocolException(int headerCode, NatsHeaders.Messages headerMessage, string headerMessageText)
        : base($"JetStream server error: {headerCode} {headerMessageText}")
    {
        HeaderCode = headerCode;
        HeaderMessage = headerMessage;
        HeaderMessageText = headerMessageText;
    }

    public int HeaderCode { get; }

    public NatsHeaders.Messages HeaderMessage { get; }

    public string HeaderMessageText { get; }
}

public class NatsJSDuplicateMessageException : NatsJSException
{
    public NatsJSDuplicateMessageException(ulong sequence)
        : base($"Duplicate of {sequence}") => Sequence = sequence;

    public ulong Sequence { get; }
}

/// <summary>The JetStream API answered with an error.</summary>
public class NatsJSApiException : NatsJSException
{
    public NatsJSApiException(ApiError error)
        : base(error.Description ?? string.Empty) => Error = error;

    public ApiError Error { get; }
}

public class NatsJSPublishNoResponseException : NatsJSException
{
    public static readonly NatsJSPublishNoResponseException Default = new();

    public NatsJSPublishNoResponseException()
        : base("No response received from the server")
    {
    }
}

public class NatsJSApiNoResponseException : NatsJSException
{
    public NatsJSApiNoResponseException()
        : base("No API response received from the server")
    {
    }

    public NatsJSApiNoResponseException(NatsSubEndReason reason)
        : base($"No API response received from the server: {reason}") => Reason = reason;

    public NatsSubEndReason Reason { get; }
}

public class NatsJSTimeoutException : NatsJSException
{
    public NatsJSTimeoutException(string type)
        : base($"{type} timed out") => Type = type;

    public string Type { get; }
}

public class NatsJSConnectionException : NatsJSException
{
    public NatsJSConnectionException(string reason)
        : base($"Connection error: {reason}") => Reason = reason;

    public string Reason { get; }
}
