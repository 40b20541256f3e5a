namespace RuleEngineNats.ChangeCapture;

/// <summary>The capture cannot go on, and trying again would not help: the message says what to do.</summary>
public sealed class CaptureException : Exception
{
    /// <summary>What it means for whoever runs captures. Default <see cref="CaptureFailure.Wrong"/>.</summary>
    public CaptureFailure Failure { get; init; }

    /// <summary>With what happened and what to do.</summary>
    public CaptureException(string message)
        : base(message)
    {
    }

    /// <summary>With what happened and what to do, and where it was noticed.</summary>
    public CaptureException(string message, Exception inner)
        : base(message, inner)
    {
    }
}

/// <summary>What ended a capture.</summary>
public enum CaptureFailure
{
    /// <summary>Options or objects of the database: somebody has to change something.</summary>
    Wrong,

    /// <summary>The WAL guard's policy: it can go on at any time, once somebody wants it to.</summary>
    Paused,

    /// <summary>The slot is gone, or has lost its WAL: changes are missing.</summary>
    SlotLost,
}
