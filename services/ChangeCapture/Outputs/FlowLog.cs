using Microsoft.Extensions.Logging;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.ChangeCapture.Outputs;

/// <summary>Says that the flow to a stream has stopped, at which event, why, and what to do; and that it goes on.</summary>
/// <param name="server">The servers, without user and password.</param>
internal sealed partial class FlowLog(string server, CaptureOptions options, CaptureStatus status, ILogger logger)
{
    public void Stopped(in OutgoingEvent outgoing, PublishOutcome outcome)
    {
        var (reason, message) = outcome switch
        {
            PublishOutcome.Unavailable unavailable => (unavailable.Reason.ToString(), unavailable.Message),
            PublishOutcome.Refused refused => (refused.Reason.ToString(), refused.Message),
            _ => ("", ""),
        };
        status.OutputStopped(server, $"stream {options.NatsStream}: {reason}: {message}; {Advice(outcome)}");
        Stopped(options.NatsStream, server, reason, message, outgoing.Subject, outgoing.MessageId, outgoing.Body.Length, Advice(outcome));
    }

    public void GoesOn()
    {
        status.OutputGoesOn(server);
        GoesOn(options.NatsStream, server);
    }

    private string Advice(PublishOutcome outcome) => outcome switch
    {
        PublishOutcome.Unavailable { Reason: UnavailableReason.StreamFull } => "make room (max_bytes, max_msgs, the server's storage) or purge what is consumed",
        PublishOutcome.Unavailable { Reason: UnavailableReason.NoStream } or PublishOutcome.Refused { Reason: RefusalReason.WrongStream }
            => $"let stream {options.NatsStream} take {options.SubjectPrefix}.>",
        PublishOutcome.Refused { Reason: RefusalReason.TooLarge } => "raise the server's max_payload or the stream's max_msg_size, leave large columns out, or start with --oversized dead-letter",
        PublishOutcome.Unavailable => "nothing to do while nats-server is away",
        _ => "see what nats-server says",
    };

    [LoggerMessage(Level = LogLevel.Error, Message = "the flow to stream {Stream} on {Server} has stopped, nothing is lost: {Reason}: {Message}; event {MessageId} on {Subject}, {Bytes} bytes; {Advice}")]
    private partial void Stopped(string stream, string server, string reason, string message, string subject, string messageId, int bytes, string advice);

    [LoggerMessage(Level = LogLevel.Information, Message = "the flow to stream {Stream} on {Server} goes on")]
    private partial void GoesOn(string stream, string server);
}
