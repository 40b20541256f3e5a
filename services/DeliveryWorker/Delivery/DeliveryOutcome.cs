namespace RuleEngineNats.DeliveryWorker.Delivery;

/// <summary>How far a request got.</summary>
internal enum DeliveryStage
{
    /// <summary>Nothing was sent: the endpoint's own settings forbid it.</summary>
    Prepare,

    /// <summary>Name resolution, TCP or TLS.</summary>
    Connect,

    /// <summary>Between the first byte of the request and the status line; the receiver may have acted on it.</summary>
    Exchange,

    /// <summary>There was a status.</summary>
    Answer,
}

/// <summary>What one attempt came to; a closed set.</summary>
internal abstract record DeliveryOutcome
{
    private DeliveryOutcome()
    {
    }

    /// <summary>Where it stopped.</summary>
    public abstract DeliveryStage Stage { get; }

    /// <summary>A short word for metrics, logs and error messages.</summary>
    public abstract string Code { get; }

    /// <summary>The word for <c>rule_webhook_call_history.outcome</c>.</summary>
    public virtual string HistoryWord => "failed";

    /// <summary>True when another attempt cannot end otherwise until somebody changes the webhook.</summary>
    public virtual bool IsFinal => false;

    /// <summary>The status the receiver answered with, if it did.</summary>
    public virtual int? Status => null;

    /// <summary>One sentence for the error columns; null when delivered.</summary>
    public virtual string? Error => Code;

    /// <summary>How long the receiver asked to be left alone.</summary>
    public virtual TimeSpan? RetryAfter => null;

    /// <summary>Whether the endpoint is to blame, so that its circuit breaker counts it.</summary>
    public virtual bool IsOfEndpoint => true;

    /// <summary>A 2xx answer.</summary>
    public sealed record Delivered(int HttpStatus) : DeliveryOutcome
    {
        public override DeliveryStage Stage => DeliveryStage.Answer;

        public override string Code => "delivered";

        public override string HistoryWord => "delivered";

        public override int? Status => HttpStatus;

        public override string? Error => null;
    }

    /// <summary>Any other answer. A redirect is one: it is never followed, it would lead past the checks of the URL.</summary>
    public sealed record Rejected(int HttpStatus, TimeSpan? Asked = null) : DeliveryOutcome
    {
        public override DeliveryStage Stage => DeliveryStage.Answer;

        public override string Code => "http_status";

        public override int? Status => HttpStatus;

        public override TimeSpan? RetryAfter => Asked;

        /// <summary>410 says that there will never be a receiver again.</summary>
        public override bool IsFinal => HttpStatus == 410;

        public override string? Error => HttpStatus is >= 300 and < 400 ? $"HTTP {HttpStatus}: redirects are not followed" : $"HTTP {HttpStatus}";
    }

    /// <summary>The webhook's timeout passed, or that of connecting.</summary>
    public sealed record TimedOut(DeliveryStage At, TimeSpan After) : DeliveryOutcome
    {
        public override DeliveryStage Stage => At;

        public override string Code => "timeout";

        public override string? Error => $"timeout after {After.TotalMilliseconds:0} ms ({At.ToString().ToLowerInvariant()})";
    }

    /// <summary>No connection: unknown name, refused, unreachable.</summary>
    public sealed record ConnectFailed(string Reason) : DeliveryOutcome
    {
        public override DeliveryStage Stage => DeliveryStage.Connect;

        public override string Code => "connect_failed";

        public override string? Error => "connect failed: " + Reason;
    }

    /// <summary>The connection ended, or what came back is not HTTP.</summary>
    public sealed record Broken(string Reason) : DeliveryOutcome
    {
        public override DeliveryStage Stage => DeliveryStage.Exchange;

        public override string Code => "broken_answer";

        public override string? Error => "broken answer: " + Reason;
    }

    /// <summary>The name leads to an address that is not allowed, or the URL itself is not.</summary>
    public sealed record AddressBlocked(DeliveryStage At, string Reason) : DeliveryOutcome
    {
        public override DeliveryStage Stage => At;

        public override bool IsOfEndpoint => false;

        public override string Code => "address_blocked";

        public override string HistoryWord => "blocked";

        public override bool IsFinal => true;

        public override string? Error => "address_blocked: " + Reason;
    }

    /// <summary>The webhook is off: nothing was sent, and the record says so.</summary>
    public sealed record Cancelled(string Reason) : DeliveryOutcome
    {
        public override DeliveryStage Stage => DeliveryStage.Prepare;

        public override string Code => "cancelled";

        public override string HistoryWord => "cancelled";

        public override bool IsFinal => true;

        public override bool IsOfEndpoint => false;

        public override string? Error => Reason;
    }

    /// <summary>A secret cannot be read, which another key mends; nothing is sent without its signature.</summary>
    public sealed record NotSigned(string Reason) : DeliveryOutcome
    {
        public override DeliveryStage Stage => DeliveryStage.Prepare;

        public override bool IsOfEndpoint => false;

        public override string Code => "not_signed";

        public override string? Error => "not_signed: " + Reason;
    }

    /// <summary>The credentials of the webhook's auth_type are missing or cannot be had; nothing is sent without them.</summary>
    public sealed record NotAuthorized(string Reason) : DeliveryOutcome
    {
        public override DeliveryStage Stage => DeliveryStage.Prepare;

        public override string Code => "not_authorized";

        public override string? Error => "not_authorized: " + Reason;
    }

    /// <summary>The webhook's own headers cannot be sent.</summary>
    public sealed record RequestRefused(string Reason) : DeliveryOutcome
    {
        public override DeliveryStage Stage => DeliveryStage.Prepare;

        public override bool IsOfEndpoint => false;

        public override string Code => "request_refused";

        public override bool IsFinal => true;

        public override string? Error => "request_refused: " + Reason;
    }

    /// <summary>What the webhook is to be sent cannot be made of this event.</summary>
    public sealed record PayloadRefused(string Reason) : DeliveryOutcome
    {
        public override DeliveryStage Stage => DeliveryStage.Prepare;

        public override string Code => "payload_refused";

        public override bool IsFinal => true;

        public override string? Error => Reason;
    }

    /// <summary>The body of the event is in the Object Store no more, nor in the history.</summary>
    public sealed record PayloadMissing(string Reason) : DeliveryOutcome
    {
        public override DeliveryStage Stage => DeliveryStage.Prepare;

        public override bool IsOfEndpoint => false;

        public override string Code => "payload_missing";

        public override bool IsFinal => true;

        public override string? Error => Reason;
    }
}
