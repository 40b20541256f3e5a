namespace RuleEngineNats.IngestionTool;

/// <summary>What the process ends with.</summary>
internal static class ExitCode
{
    public const int Done = 0;

    /// <summary>Something was rejected, is a dead letter, or was not found.</summary>
    public const int NotAll = 1;

    /// <summary>The command line is wrong, or the API refuses.</summary>
    public const int Refused = 2;

    /// <summary>The API cannot be reached.</summary>
    public const int Unreachable = 3;

    /// <summary>Ctrl-C or SIGTERM.</summary>
    public const int Interrupted = 130;
}
