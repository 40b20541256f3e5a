using NpgsqlTypes;

namespace RuleEngineNats.ChangeCapture;

/// <summary>What is captured, and where it goes.</summary>
public sealed class CaptureOptions
{
    /// <summary>Npgsql connection string of the database. Its user needs the REPLICATION attribute, and SELECT on nothing. Required.</summary>
    public string ConnectionString { get; set; } = "";

    /// <summary>The logical replication slot: 1 to 63 of a-z, 0-9 and _ (PostgreSQL's rule). It holds the place, and WAL, until it is dropped. Required.</summary>
    public string Slot { get; set; } = "";

    /// <summary>The publications to read, one at least; a table that is in several comes once.</summary>
    public IList<string> Publications { get; } = [];

    /// <summary>Create the slot where it is missing. Default false: a missing slot is an error, since changes may have been lost with it. On PostgreSQL 17 and later it is a failover slot.</summary>
    public bool CreateSlot { get; set; }

    /// <summary>Create the publications that are missing, for all tables (needs a superuser) or, where <see cref="Tables"/> names tables without wildcards, for these. Default false.</summary>
    public bool CreatePublication { get; set; }

    /// <summary>Begin behind this WAL position rather than at the slot's. Earlier than the slot's is an error: that WAL may be gone. Default: the slot's.</summary>
    public NpgsqlLogSequenceNumber? StartLsn { get; set; }

    /// <summary>How events look. Default <see cref="OutputFormat.Json"/>.</summary>
    public OutputFormat Format { get; set; }

    /// <summary>Whether row events carry their LSN, transaction id, commit LSN, commit time and place in the transaction. Default false.</summary>
    public bool WithTransaction { get; set; }

    /// <summary>How values look. Default <see cref="ValueStyle.Text"/>.</summary>
    public ValueStyle Values { get; set; }

    /// <summary>Tables to capture, as <c>schema.table</c> with <c>*</c> and <c>?</c>; a part in double quotes is literal. Default: all that are published.</summary>
    public IList<string> Tables { get; } = [];

    /// <summary>Tables not to capture; stronger than <see cref="Tables"/>.</summary>
    public IList<string> ExcludedTables { get; } = [];

    /// <summary>Columns to show, as <c>schema.table.column</c> like <see cref="Tables"/>. A table that no pattern concerns shows all of its columns.</summary>
    public IList<string> Columns { get; } = [];

    /// <summary>Columns to leave out, name and value; stronger than <see cref="Columns"/>.</summary>
    public IList<string> ExcludedColumns { get; } = [];

    /// <summary>Columns whose values are replaced by the SHA-256 of <see cref="HashSalt"/> and value, in lower-case hexadecimal. NULL stays NULL.</summary>
    public IList<string> HashedColumns { get; } = [];

    /// <summary>Goes before each value that is hashed. Without it anyone can try out what a short value was. Default empty.</summary>
    public string HashSalt { get; set; } = "";

    /// <summary>Columns whose values are replaced by <c>***</c>. NULL stays NULL.</summary>
    public IList<string> MaskedColumns { get; } = [];

    /// <summary>The operations to capture. Default all four.</summary>
    public ISet<CapturedOperation> Operations { get; } = new HashSet<CapturedOperation>(Enum.GetValues<CapturedOperation>());

    /// <summary>Write events to standard output, one per line. Default true.</summary>
    public bool StandardOutput { get; set; } = true;

    /// <summary>Append events to this file, one per line; WAL is confirmed when they are on the disk. A last line without an end, as a crash leaves it, is cut off. Default: none.</summary>
    public string? File { get; set; }

    /// <summary>NATS servers to publish to. Each entry is a server or cluster of its own (URLs separated by commas) and gets every event. Default: none.</summary>
    public IList<string> NatsServers { get; } = [];

    /// <summary>The stream; made where it is missing: file storage, no limits, discard new, duplicate window 2 minutes. Default <c>postgres_replication</c>.</summary>
    public string NatsStream { get; set; } = Contracts.StreamNames.PostgresReplication;

    /// <summary>What every subject begins with: <c>{prefix}.{schema}.{table}.{operation}</c>. Default <c>postgres</c>.</summary>
    public string SubjectPrefix { get; set; } = "postgres";

    /// <summary>Events that await their PubAck at once, for each entry of <see cref="NatsServers"/>. Default 1,024; bounds memory together with <see cref="MaxInFlightBytes"/>.</summary>
    public int MaxInFlight { get; set; } = 1024;

    /// <summary>Bytes that await their PubAck at once. Default 32 MiB. A single larger event goes alone.</summary>
    public int MaxInFlightBytes { get; set; } = 32 * 1024 * 1024;

    /// <summary>Where the changes of transactions larger than the server's logical_decoding_work_mem (64 MB by default) wait for their commit, in files without a name. Default: the system's folder for temporary files.</summary>
    public string SpoolDirectory { get; set; } = Path.GetTempPath();

    /// <summary>How often the slot is told how far everything is stored. Default 250 ms; what comes after is read again after a crash, and recognised.</summary>
    public TimeSpan ConfirmInterval { get; set; } = TimeSpan.FromMilliseconds(250);

    /// <summary>First pause before either side is tried again; doubles up to <see cref="RetryMaximum"/>, less a random part. Default 100 ms.</summary>
    public TimeSpan RetryMinimum { get; set; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Longest pause before either side is tried again. Default 5 s. There is no last attempt.</summary>
    public TimeSpan RetryMaximum { get; set; } = TimeSpan.FromSeconds(5);

    // Up to a half is left out at random.
    internal TimeSpan PauseAfter(int failures) => Messaging.RetryPause.After(failures, RetryMinimum, RetryMaximum, Random.Shared.NextDouble() / 2);

    /// <summary>How long a shutdown waits for events that are under way, at most 20 s. Default 5 s; what is not stored by then comes again at the next start.</summary>
    public TimeSpan ShutdownTimeout { get; set; } = TimeSpan.FromSeconds(5);
}

/// <summary>How events look.</summary>
public enum OutputFormat
{
    /// <summary>One JSON object a line.</summary>
    Json,

    /// <summary>The same with line breaks and indentation, on standard output and in files; NATS gets <see cref="Json"/>.</summary>
    JsonPretty,

    /// <summary>Lines for people, on standard output and in files; NATS gets <see cref="Json"/>.</summary>
    Text,

    /// <summary>Debezium's envelope; no events for transaction bounds and descriptions.</summary>
    Debezium,
}

/// <summary>How values look.</summary>
public enum ValueStyle
{
    /// <summary>Each as a string, in PostgreSQL's text format.</summary>
    Text,

    /// <summary>Numbers, booleans, JSON and arrays of built-in types other than JSON as such, everything else as a string. The JSON value null looks like NULL.</summary>
    Typed,
}

/// <summary>What happens to a table.</summary>
public enum CapturedOperation
{
    /// <summary>INSERT and COPY.</summary>
    Insert,

    /// <summary>UPDATE.</summary>
    Update,

    /// <summary>DELETE.</summary>
    Delete,

    /// <summary>TRUNCATE.</summary>
    Truncate,
}
