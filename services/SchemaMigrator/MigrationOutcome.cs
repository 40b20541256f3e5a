namespace RuleEngineNats.SchemaMigrator;

/// <summary>How a run ended; the value is the exit code of the process.</summary>
public enum MigrationOutcome
{
    /// <summary>The database has every migration (and, with <c>--verify</c>, applying them again changes nothing).</summary>
    UpToDate = 0,

    /// <summary>A statement failed; the database is as it was before.</summary>
    Failed = 1,

    /// <summary>No connection string, or no answer from the database in time.</summary>
    Unavailable = 2,

    /// <summary>A file of sql/migrations was applied with another text than this build has. They are forward-only: add the next one instead.</summary>
    Drift = 3,

    /// <summary>With <c>--verify</c>: applying the migrations again would change something.</summary>
    NotRepeatable = 4,

    /// <summary>The process was told to stop.</summary>
    Cancelled = 130,
}
