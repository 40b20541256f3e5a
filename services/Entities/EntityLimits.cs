namespace RuleEngineNats.Entities;

/// <summary>Limits of definitions and of what is read with them.</summary>
public static class EntityLimits
{
    /// <summary>Most bytes of a file.</summary>
    public const int FileBytes = 1024 * 1024;

    /// <summary>Most files of a folder.</summary>
    public const int Files = 1000;

    /// <summary>Most entities of a catalog.</summary>
    public const int Entities = 1000;

    /// <summary>Most columns of a table, which is PostgreSQL's limit.</summary>
    public const int Columns = 1600;

    /// <summary>Most columns of an index, which is PostgreSQL's limit.</summary>
    public const int IndexColumns = 32;

    /// <summary>Longest name in bytes: PostgreSQL cuts longer ones silently.</summary>
    public const int NameBytes = 63;

    /// <summary>Longest pattern in characters.</summary>
    public const int PatternLength = 1000;

    /// <summary>Deepest nesting of a definition.</summary>
    public const int YamlDepth = 32;

    /// <summary>Most rows that one document may make in all tables together.</summary>
    public const int RowsPerDocument = 10_000;

    /// <summary>Most violations that are listed; one more says how many there are besides.</summary>
    public const int Violations = 100;

    /// <summary>Most bytes of the texts of one index entry together: a B-tree refuses more than 2,704 with what belongs to it, and would do so in the middle of a batch.</summary>
    public const int KeyBytes = 2600;
}
