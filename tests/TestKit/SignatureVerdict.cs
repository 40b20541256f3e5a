namespace RuleEngineNats.TestKit;

/// <summary>What a check of a Standard Webhooks signature found.</summary>
public enum SignatureVerdict
{
    /// <summary>There is no secret to check with.</summary>
    NotChecked,

    Verified,

    /// <summary><c>webhook-id</c>, <c>webhook-timestamp</c> or <c>webhook-signature</c> is missing.</summary>
    HeadersMissing,

    /// <summary>The timestamp is no number of seconds.</summary>
    TimestampInvalid,

    /// <summary>The timestamp is more than the tolerance before now: sent again by somebody, or a clock is wrong.</summary>
    TooOld,

    /// <summary>The timestamp is more than the tolerance after now.</summary>
    TooNew,

    /// <summary>No signature is of version v1.</summary>
    NoKnownVersion,

    /// <summary>No signature is the one that a secret makes of this id, timestamp and body.</summary>
    Mismatch,
}
