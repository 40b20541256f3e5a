namespace NATS.Client.JetStream;

/// <summary>How much is asked for at once, how long a request lives, and when the next one goes out.</summary>
internal sealed record PullPlan(long MaxMsgs, long MaxBytes, long ThresholdMsgs, long ThresholdBytes, TimeSpan Expires, TimeSpan IdleHeartbeat)
{
    private static readonly TimeSpan ExpiresDefault = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan ExpiresMin = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan HeartbeatCap = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan HeartbeatMin = TimeSpan.FromSeconds(.5);

    public static PullPlan Create(long? maxMsgs, long? maxBytes, long? thresholdMsgs, long? thresholdBytes, TimeSpan? expires, TimeSpan? idleHeartbeat)
    {
        if (maxMsgs.HasValue == maxBytes.HasValue)
        {
            throw new NatsJSException(maxMsgs.HasValue ? "You can only set maxBytes or maxMsgs" : "You must set maxBytes or maxMsgs");
        }

        var msgs = maxMsgs ?? 1_000_000;
        var bytes = maxBytes ?? 0;
        var refillMsgs = thresholdMsgs ?? msgs / 2;
        var refillBytes = thresholdBytes ?? bytes / 2;
        if (refillMsgs > msgs)
        {
            throw new NatsJSException("thresholdMsgs must be less than maxMsgs");
        }

        if (refillBytes > bytes)
        {
            throw new NatsJSException("thresholdBytes must be less than maxBytes");
        }

        var lives = expires ?? ExpiresDefault;
        if (lives < ExpiresMin)
        {
            throw new NatsJSException($"expires must be greater than {ExpiresMin}");
        }

        var beats = idleHeartbeat ?? lives / 2;
        if (beats > HeartbeatCap)
        {
            throw new NatsJSException($"idleHeartbeat must be less than {HeartbeatCap}");
        }

        return beats != TimeSpan.Zero && beats < HeartbeatMin
            ? throw new NatsJSException($"idleHeartbeat must be greater than {HeartbeatMin}")
            : new PullPlan(msgs, bytes, refillMsgs, refillBytes, lives, beats);
    }
}
