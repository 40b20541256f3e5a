using System.Diagnostics.CodeAnalysis;
using System.Runtime.ExceptionServices;

namespace NATS.Client.Core;

/// <summary>Root of everything that this client throws on its own account.</summary>
public class NatsException : Exception
{
    public NatsException(string message)
        : base(message)
    {
    }

    public NatsException(string message, Exception exception)
        : base(message, exception)
    {
    }

    public static void Throw(string message) => throw new NatsException(message);
}

/// <summary>A request got no answer in time.</summary>
public sealed class NatsNoReplyException : NatsException
{
    public NatsNoReplyException()
        : base("No reply received")
    {
    }

    [DoesNotReturn]
    public static void Throw() => throw new NatsNoReplyException();
}

/// <summary>The server says that nobody listens on the request's subject (status 503).</summary>
public sealed class NatsNoRespondersException : NatsException
{
    public NatsNoRespondersException()
        : base("No responders")
    {
    }
}

/// <summary>The server sent -ERR.</summary>
public sealed class NatsServerException : NatsException
{
    private static readonly string[] AuthErrors =
        ["authorization violation", "user authentication expired", "user authentication revoked", "account authentication expired"];

    public NatsServerException(string error)
        : base($"Server error: {error}")
    {
        Error = error.ToLowerInvariant();
        IsAuthError = AuthErrors.Any(Error.Contains);
    }

    public string Error { get; }

    public bool IsAuthError { get; }
}

public sealed class NatsPayloadTooLargeException : NatsException
{
    public NatsPayloadTooLargeException(string error)
        : base(error)
    {
    }
}

/// <summary>The connection gave up for good: it will not reconnect.</summary>
public sealed class NatsConnectionFailedException(string message) : NatsException(message);

public sealed class NatsProtocolViolationException(string message) : NatsException(message)
{
    [DoesNotReturn]
    public static new void Throw(string message) => throw new NatsProtocolViolationException(message);
}

public sealed class NatsTimeoutException() : NatsException("Operation timed out")
{
    [DoesNotReturn]
    public static void Throw() => throw new NatsTimeoutException();
}

public class NatsDeserializeException : NatsException
{
    public NatsDeserializeException(byte[] rawData, Exception inner)
        : base("Exception during deserialization", inner) => RawData = rawData;

    public byte[] RawData { get; }
}

public class NatsHeaderParseException : NatsException
{
    public NatsHeaderParseException(byte[] rawData, Exception inner)
        : base("Exception parsing headers", inner) => RawData = rawData;

    public byte[] RawData { get; }
}

public class NatsSubException : NatsException
{
    public NatsSubException(string message, ExceptionDispatchInfo exception, Memory<byte> payload, Memory<byte> headers)
        : base(message)
    {
        Exception = exception;
        Payload = payload;
        Headers = headers;
    }

    public ExceptionDispatchInfo Exception { get; }

    public Memory<byte> Payload { get; }

    public Memory<byte> Headers { get; }
}
