using NATS.Client.Core;
using NATS.Client.JetStream.Models;

namespace NATS.Client.JetStream;

public record NatsJSOpts
{
    public NatsJSOpts(NatsOpts opts, string? apiPrefix = default, string? domain = default, AckOpts? ackOpts = default, TimeSpan? requestTimeout = default)
    {
        if (apiPrefix is not null && domain is not null)
        {
            throw new NatsJSException("Cannot specify both ApiPrefix and Domain.");
        }

        ApiPrefix = apiPrefix ?? "$JS.API";
        Domain = domain;
        RequestTimeout = requestTimeout ?? opts.RequestTimeout;
    }

    public string Prefix => string.IsNullOrEmpty(Domain) ? ApiPrefix : $"$JS.{Domain}.API";

    public string ApiPrefix { get; }

    public string? Domain { get; }

    public TimeSpan RequestTimeout { get; }

    public bool DoubleAck { get; init; }

    public NatsJSConsumeOpts DefaultConsumeOpts { get; init; } = new() { MaxMsgs = 1_000 };

    public NatsJSNextOpts DefaultNextOpts { get; init; } = new();
}

public record NatsJSOrderedConsumerOpts
{
    public static readonly NatsJSOrderedConsumerOpts Default = new();

    public string[] FilterSubjects { get; init; } = [];

    public ConsumerConfigDeliverPolicy DeliverPolicy { get; init; } = ConsumerConfigDeliverPolicy.All;

    public ulong OptStartSeq { get; init; }

    public DateTimeOffset OptStartTime { get; init; }

    public ConsumerConfigReplayPolicy ReplayPolicy { get; init; } = ConsumerConfigReplayPolicy.Instant;

    public TimeSpan InactiveThreshold { get; init; } = TimeSpan.FromMinutes(5);

    public bool HeadersOnly { get; init; }

    public int MaxResetAttempts { get; init; } = -1;
}

public record NatsJSConsumeOpts
{
    public int? MaxMsgs { get; init; }

    public TimeSpan? Expires { get; init; }

    public int? MaxBytes { get; init; }

    public TimeSpan? IdleHeartbeat { get; init; }

    public int? ThresholdMsgs { get; init; }

    public int? ThresholdBytes { get; init; }

    public Func<INatsJSNotification, CancellationToken, Task>? NotificationHandler { get; init; }

    public NatsJSPriorityGroupOpts? PriorityGroup { get; init; }

    public int MaxConsecutive503Errors { get; init; } = 10;
}

public record NatsJSNextOpts
{
    public TimeSpan? Expires { get; init; }

    public TimeSpan? IdleHeartbeat { get; init; }

    public Func<INatsJSNotification, CancellationToken, Task>? NotificationHandler { get; init; }

    public NatsJSPriorityGroupOpts? PriorityGroup { get; init; }
}

public record NatsJSFetchOpts
{
    public int? MaxMsgs { get; init; }

    public TimeSpan? Expires { get; init; }

    public int? MaxBytes { get; init; }

    public TimeSpan? IdleHeartbeat { get; init; }

    public Func<INatsJSNotification, CancellationToken, Task>? NotificationHandler { get; init; }

    public NatsJSPriorityGroupOpts? PriorityGroup { get; init; }

    internal bool NoWait { get; init; }
}

public record NatsJSPubOpts : NatsPubOpts
{
    public static readonly NatsJSPubOpts Default = new();

    public string? MsgId { get; init; }

    public string? ExpectedLastMsgId { get; init; }

    public string? ExpectedStream { get; init; }

    public ulong? ExpectedLastSequence { get; init; }

    public ulong? ExpectedLastSubjectSequence { get; init; }

    public string? ExpectedLastSubjectSequenceSubject { get; init; }

    public TimeSpan RetryWaitBetweenAttempts { get; init; } = TimeSpan.FromMilliseconds(250);

    public int RetryAttempts { get; init; } = 1;
}

public record NatsJSPriorityGroupOpts
{
    public string? Group { get; init; }

    public long MinPending { get; set; }

    public long MinAckPending { get; set; }

    public byte Priority { get; init; }
}

public readonly record struct AckOpts
{
    public bool? DoubleAck { get; init; }

    public TimeSpan? NakDelay { get; init; }

    public string? TerminateReason { get; init; }
}
