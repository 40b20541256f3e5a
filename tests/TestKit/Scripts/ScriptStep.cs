namespace RuleEngineNats.TestKit;

/// <summary>The ways a receiver can treat a request, good and bad.</summary>
public enum ScriptAction
{
    /// <summary>A whole answer with a status.</summary>
    Answer,

    /// <summary>The connection is reset before an answer.</summary>
    Drop,

    /// <summary>The connection is reset in the middle of the body.</summary>
    Cut,

    /// <summary>No answer; the connection stays open.</summary>
    Hang,

    /// <summary>A body that comes slowly and ends.</summary>
    Slow,

    /// <summary>Headers that come slowly and never end.</summary>
    Drip,

    /// <summary>A body that never ends.</summary>
    Endless,

    /// <summary>A gzip body that expands to <see cref="ScriptStep.Size"/>.</summary>
    Bomb,

    /// <summary>An answer with <see cref="ScriptStep.Size"/> bytes of headers.</summary>
    Headers,
}

/// <summary>What is done with one request, or with <paramref name="Count"/> of them in turn.</summary>
/// <param name="Text">As it was written, for a log.</param>
public sealed record ScriptStep(ScriptAction Action, string Text, int Count = 1)
{
    public int Status { get; init; } = 200;

    /// <summary>How long it waits before it does anything.</summary>
    public TimeSpan Delay { get; init; }

    /// <summary>Bytes, or bytes a second, as the action has it.</summary>
    public long Size { get; init; }

    public string Body { get; init; } = "";

    /// <summary>In the order they were written; a name may come twice.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Headers { get; init; } = [];
}
