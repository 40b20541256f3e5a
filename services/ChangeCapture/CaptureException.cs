namespace RuleEngineNats.ChangeCapture;

/// <summary>The capture cannot go on, and trying again would not help: the message says what to do.</summary>
public sealed class CaptureException : Exception
{
    /// <summary>The WAL guard's policy ended it: it can go on at any time, once somebody wants it to.</summary>
    public bool IsPause { get; init; }

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
