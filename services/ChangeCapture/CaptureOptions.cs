using NpgsqlTypes;

namespace RuleEngineNats.ChangeCapture;

/// <summary>What is captured, and where it goes.</summary>
public sealed class CaptureOptions
{
    /// <summary>Npgsql connection string of the database. Its user needs the REPLICATION attribute, and SELECT on the tables of snapshots alone. Required.</summary>
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

    /// <summary>What an event is of. Default <see cref="EventUnit.Change"/>.</summary>
    public EventUnit Per { get; set; }

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

    /// <summary>
    /// Rows to capture, as <c>schema.table=filter</c>: a table like <see cref="Tables"/>, and a SQL/JSON path over the row as an object with typed values, as a webhook's
    /// content filter without like_regex: <c>public.orders=$.total > 100</c>. The new row is judged, the old one of a delete; a row of which a
    /// column that the filter asks for was not sent passes. Several for a table must all let a row pass. Default: all rows.
    /// </summary>
    public IList<string> RowFilters { get; } = [];

    /// <summary>The operations to capture. Default all four.</summary>
    public ISet<CapturedOperation> Operations { get; } = new HashSet<CapturedOperation>(Enum.GetValues<CapturedOperation>());

    /// <summary>Whether rows that were there before are read. Default <see cref="SnapshotMode.Never"/>. A snapshot that was interrupted goes on whatever this says; one that is asked for in SQL begins.</summary>
    public SnapshotMode Snapshot { get; set; }

    /// <summary>The tables that <see cref="Snapshot"/> is about, like <see cref="Tables"/>. They need a primary key, or a replica identity index, and the user SELECT on them. Default: all that are captured.</summary>
    public IList<string> SnapshotTables { get; } = [];

    /// <summary>Tables that a snapshot reads at once, each on a connection of its own: 1 to 16. Default 2.</summary>
    public int SnapshotParallelism { get; set; } = 2;

    /// <summary>Rows that are read at once, 1 to 100,000; fewer where they are more than 8 MiB. Default 2,000. Times <see cref="SnapshotParallelism"/> they are in memory; changes wait while they are written.</summary>
    public int SnapshotChunkRows { get; set; } = 2000;

    /// <summary>Write events to standard output, one per line. Default true.</summary>
    public bool StandardOutput { get; set; } = true;

    /// <summary>Append events to this file, one per line; WAL is confirmed when they are on the disk. A last line without an end, as a crash leaves it, is cut off. Default: none.</summary>
    public string? File { get; set; }

    /// <summary>NATS servers to publish to. Each entry is a server or cluster of its own (URLs separated by commas) and gets every event. Default: none.</summary>
    public IList<string> NatsServers { get; } = [];

    /// <summary>Who the capture is to every server of <see cref="NatsServers"/> whose URL has no user of its own. Default: nobody.</summary>
    public Messaging.NatsCredentials NatsCredentials { get; set; } = new();

    /// <summary>TLS to every server of <see cref="NatsServers"/>. Default: as the server asks for it, with the machine's authorities.</summary>
    public NatsTls NatsTls { get; set; } = new();

    // What the service has in rule_nats_config, instead of NatsCredentials and NatsTls.
    internal Messaging.ConnectionSettings? NatsSettings { get; set; }

    /// <summary>The stream; made where it is missing: file storage, discard new, duplicate window 2 minutes. Default <c>postgres_replication</c>.</summary>
    public string NatsStream { get; set; } = Contracts.StreamNames.PostgresReplication;

    /// <summary>Most bytes of a stream that is made; the flow stops when it is full, and goes on when there is room. Default -1, no limit.</summary>
    public long NatsMaxBytes { get; set; } = -1;

    /// <summary>How long a stream that is made keeps an event. Default zero, for ever; what is older is gone for consumers that have not read it.</summary>
    public TimeSpan NatsMaxAge { get; set; }

    /// <summary>Copies of a stream that is made, 1 to 5: a cluster needs as many servers. Default 1.</summary>
    public int NatsReplicas { get; set; } = 1;

    /// <summary>What every subject begins with: <c>{prefix}.{schema}.{table}.{operation}</c>. Default <c>postgres</c>.</summary>
    public string SubjectPrefix { get; set; } = "postgres";

    /// <summary>What becomes of a change that a server or stream does not take because of its size. Default <see cref="OversizedPolicy.Stop"/>.</summary>
    public OversizedPolicy Oversized { get; set; }

    /// <summary>With <see cref="OversizedPolicy.DeadLetter"/>: append the changes that were replaced to this file, as <see cref="File"/> would have them. After a crash, and for each server that refuses it, one may be there again. Default: none, and they are in no place but their table.</summary>
    public string? DeadLetterFile { get; set; }

    /// <summary>Events that await their PubAck at once, for each entry of <see cref="NatsServers"/>. Default 1,024; bounds memory together with <see cref="MaxInFlightBytes"/>.</summary>
    public int MaxInFlight { get; set; } = 1024;

    /// <summary>Bytes that await their PubAck at once. Default 32 MiB. A single larger event goes alone.</summary>
    public int MaxInFlightBytes { get; set; } = 32 * 1024 * 1024;

    /// <summary>Where the changes of transactions larger than the server's logical_decoding_work_mem (64 MB by default) wait for their commit, in files without a name. Default: the system's folder for temporary files.</summary>
    public string SpoolDirectory { get; set; } = Path.GetTempPath();

    /// <summary>How often the slot is told how far everything is stored. Default 250 ms; what comes after is read again after a crash, and recognised.</summary>
    public TimeSpan ConfirmInterval { get; set; } = TimeSpan.FromMilliseconds(250);

    /// <summary>WAL behind what is stored, in bytes, beyond which <see cref="WalPolicy"/> is carried out; held WAL beyond it is warned of. Default: half of the server's max_slot_wal_keep_size, or 5 GiB where that is unlimited.</summary>
    public long? WalLimit { get; set; }

    /// <summary>How long the backlog must not have become smaller before the policy is carried out: a capture that was away catches up first. Default 10 s.</summary>
    public TimeSpan WalGrace { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>What is done beyond <see cref="WalLimit"/>. Default <see cref="WalPolicy.Alert"/>.</summary>
    public WalPolicy WalPolicy { get; set; }

    /// <summary>Where <see cref="WalPolicy.Spill"/> keeps what the outputs do not take: durable storage that outlives the process, since what is there is confirmed to PostgreSQL. Files that an earlier process left there are stored first, whatever the policy is. Default null: none, and then the policy is refused.</summary>
    public string? SpillDirectory { get; set; }

    /// <summary>Most bytes in <see cref="SpillDirectory"/>, for this slot, 1 MiB or more; beyond them PostgreSQL keeps the WAL again. Default 10 GiB.</summary>
    public long WalSpillLimit { get; set; } = 10L * 1024 * 1024 * 1024;

    /// <summary>Between two looks at the slot. Default 1 s.</summary>
    public TimeSpan GuardInterval { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Between two heartbeats: logical messages that show how far behind the slot is and let an idle table's slot move on; no events. Default 10 s; zero for none.</summary>
    public TimeSpan HeartbeatInterval { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Replace a slot that has lost its WAL: the new one begins with a Gap event. Default false: a lost slot is an error, since changes are missing.</summary>
    public bool RecoverSlot { get; set; }

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

    /// <summary>CloudEvents 1.0 in structured mode: <see cref="Json"/> as its data.</summary>
    CloudEvents,

    /// <summary>Protocol Buffers (change_capture.proto); on standard output and in files each event has its length before it.</summary>
    Protobuf,
}

/// <summary>What one event is of.</summary>
public enum EventUnit
{
    /// <summary>A change of a row, on the subject of its table and operation.</summary>
    Change,

    /// <summary>A transaction, on <c>{prefix}.transactions.changes.event</c>: with all that is captured of it, in parts of at most 1 MiB, or less where a server or stream takes less.</summary>
    Transaction,
}

/// <summary>What becomes of a change that a server or stream does not take because of its size (max_payload, max_msg_size).</summary>
public enum OversizedPolicy
{
    /// <summary>The flow stops, is logged, and goes on when the limit was raised. WAL grows meanwhile.</summary>
    Stop,

    /// <summary>A small event with its key, size and SHA-256 goes in its place to <c>{prefix}.transactions.oversized.event</c>.</summary>
    DeadLetter,
}

/// <summary>When rows that were there before the capture are read.</summary>
public enum SnapshotMode
{
    /// <summary>Not by themselves.</summary>
    Never,

    /// <summary>When this capture creates the slot.</summary>
    Initial,

    /// <summary>At each start, unless one that was interrupted goes on.</summary>
    Always,
}

/// <summary>How values look.</summary>
public enum ValueStyle
{
    /// <summary>Each as a string, in PostgreSQL's text format.</summary>
    Text,

    /// <summary>Numbers, booleans, JSON and arrays of built-in types other than JSON as such, everything else as a string. The JSON value null looks like NULL.</summary>
    Typed,
}

/// <summary>What is done when the outputs are so far behind that the WAL which the slot holds becomes a danger.</summary>
public enum WalPolicy
{
    /// <summary>It is said: log, metrics, health. max_slot_wal_keep_size decides what happens then.</summary>
    Alert,

    /// <summary>The capture ends, the slot stays: somebody has to look.</summary>
    Pause,

    /// <summary>The backlog is left out: the slot moves to the end of the WAL, and a Gap event says which part is missing.</summary>
    Drop,

    /// <summary>The backlog goes to <see cref="CaptureOptions.SpillDirectory"/> until the outputs take it: the server's WAL is freed, and nothing is lost.</summary>
    Spill,
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
