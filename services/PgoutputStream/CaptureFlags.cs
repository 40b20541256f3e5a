using System.CommandLine;
using NpgsqlTypes;
using RuleEngineNats.ChangeCapture;

namespace RuleEngineNats.PgoutputStream;

/// <summary>The options of the command line and what they mean.</summary>
internal sealed class CaptureFlags
{
    private const string ConnectionVariable = "PGOUTPUT_STREAM_CONNECTION";
    private const string SaltVariable = "PGOUTPUT_STREAM_HASH_SALT";

    // What the options' rules call them.
    private static readonly Dictionary<string, string> Flags = new()
    {
        ["ConnectionString"] = "--connection",
        ["Slot"] = "--slot",
        ["Publications"] = "--publication",
        ["StartLsn"] = "--start-lsn",
        ["SubjectPrefix"] = "--nats-subject-prefix",
        ["NatsStream"] = "--nats-stream",
        ["NatsServers"] = "--nats-server",
        ["NatsCredentials"] = "--nats-creds, --nats-nkey, --nats-token-file, --nats-user",
        ["NatsCredentials.CredentialsFile"] = "--nats-creds",
        ["NatsCredentials.NkeySeed"] = "--nats-nkey",
        ["NatsCredentials.Username"] = "--nats-user",
        ["NatsTls.CaFile"] = "--nats-tls-ca",
        ["NatsTls.CertFile"] = "--nats-tls-cert",
        ["NatsTls.KeyFile"] = "--nats-tls-key",
        ["NatsMaxBytes"] = "--nats-max-bytes",
        ["NatsMaxAge"] = "--nats-max-age",
        ["NatsReplicas"] = "--nats-replicas",
        ["File"] = "--file",
        ["StandardOutput"] = "--target",
        ["Oversized"] = "--oversized",
        ["DeadLetterFile"] = "--dead-letter-file",
        ["Operations"] = "--operation",
        ["Tables"] = "--table",
        ["ExcludedTables"] = "--exclude-table",
        ["Columns"] = "--column",
        ["ExcludedColumns"] = "--exclude-column",
        ["HashedColumns"] = "--hash-column",
        ["MaskedColumns"] = "--mask-column",
        ["SnapshotTables"] = "--snapshot-table",
        ["SnapshotParallelism"] = "--snapshot-parallelism",
        ["SnapshotChunkRows"] = "--snapshot-chunk-rows",
        ["RowFilters"] = "--row-filter",
        ["MaxInFlight"] = "--max-in-flight",
        ["SpoolDirectory"] = "--spool-directory",
        ["ShutdownTimeout"] = "--shutdown-timeout",
        ["WalLimit"] = "--wal-limit",
        ["SpillDirectory"] = "--spill-directory",
        ["WalSpillLimit"] = "--wal-spill-limit",
        ["WalGrace"] = "--wal-grace",
        ["WalPolicy"] = "--wal-policy",
        ["HeartbeatInterval"] = "--heartbeat-interval",
    };

    private readonly Option<string?> _connection = new("--connection", "-c")
    {
        Description = $"The database: \"host=… user=… dbname=…\", postgres://user@host/db, or an Npgsql connection string. Default: {ConnectionVariable} of the environment, which no list of processes shows.",
    };

    private readonly Option<string> _slot = new("--slot", "-s") { Description = "The replication slot: 1 to 63 of a-z, 0-9 and _.", Required = true };
    private readonly Option<string[]> _publications = new("--publication", "-p") { Description = "A publication to read; may be given several times.", Required = true };
    private readonly Option<string> _format = new("--format", "-f") { Description = "How events look: json, json-pretty, text, debezium, cloudevents or protobuf. NATS gets json where json-pretty or text is asked for.", DefaultValueFactory = _ => "json" };
    private readonly Option<bool> _createSlot = new("--create-slot") { Description = "Create the slot where it is missing; on PostgreSQL 17 and later as a failover slot." };
    private readonly Option<bool> _createPublication = new("--create-publication") { Description = "Create the publications that are missing, for the tables of --table where these have no wildcards, else for all tables." };
    private readonly Option<string?> _startLsn = new("--start-lsn") { Description = "Begin behind this WAL position, e.g. 0/16B2D50, not before the slot's own. Default: the slot's." };
    private readonly Option<string> _per = new("--per") { Description = "What an event is of. change: each on the subject of its table. transaction: all changes of a transaction, in parts where they are more than goes into a message.", DefaultValueFactory = _ => "change" };
    private readonly Option<bool> _withTransaction = new("--with-transaction") { Description = "Add LSN, transaction id, commit LSN, commit time and place in the transaction to row events." };
    private readonly Option<string> _values = new("--values") { Description = "text: every value a string in PostgreSQL's text format. typed: numbers, booleans, JSON and arrays as such.", DefaultValueFactory = _ => "text" };
    private readonly Option<string[]> _target = new("--target", "-t") { Description = "Where events go: stdout, nats, file; separated by commas. Default: stdout, and nats and file where --nats-server and --file are given." };
    private readonly Option<string?> _file = new("--file") { Description = "A file to append events to." };
    private readonly Option<string[]> _natsServers = new("--nats-server") { Description = "NATS URL(s) of one server or cluster, separated by commas. Given several times, each gets every event." };
    private readonly Option<string> _natsStream = new("--nats-stream") { Description = "The stream; made where it is missing.", DefaultValueFactory = _ => Contracts.StreamNames.PostgresReplication };
    private readonly Option<string> _subjectPrefix = new("--nats-subject-prefix") { Description = "What subjects begin with: {prefix}.{schema}.{table}.{operation}.", DefaultValueFactory = _ => "postgres" };
    private readonly Option<string[]> _tables = List("--table", "Tables to capture: schema.table with * and ?. Default: all that are published.");
    private readonly Option<string[]> _excludedTables = List("--exclude-table", "Tables not to capture; stronger than --table.");
    private readonly Option<string[]> _columns = List("--column", "Columns to show: schema.table.column with * and ?. Other columns of these tables are left out.");
    private readonly Option<string[]> _excludedColumns = List("--exclude-column", "Columns to leave out.");
    private readonly Option<string[]> _hashedColumns = List("--hash-column", $"Columns whose values are replaced by their SHA-256, salted with {SaltVariable} of the environment.");
    private readonly Option<string[]> _maskedColumns = List("--mask-column", "Columns whose values are replaced by ***.");
    private readonly Option<string[]> _rowFilters = List("--row-filter", "Rows to capture: schema.table=filter with a SQL/JSON path as webhooks' content filters have it, e.g. 'public.orders=$.total > 100'.");
    private readonly Option<string[]> _operations = List("--operation", "Operations to capture: insert, update, delete, truncate; separated by commas. Default: all.");
    private readonly Option<string> _oversized = new("--oversized") { Description = "What becomes of a change that is larger than a server or stream takes. stop: the flow stops until the limit is raised. dead-letter: a small event with its key goes in its place.", DefaultValueFactory = _ => "stop" };
    private readonly Option<string?> _deadLetterFile = new("--dead-letter-file") { Description = "With --oversized dead-letter: a file to append the changes themselves to." };
    private readonly SnapshotFlags _snapshot = new();
    private readonly Option<int> _maxInFlight = new("--max-in-flight") { Description = "Events that await their PubAck at once, 1 to 60,000.", DefaultValueFactory = _ => 1024 };
    private readonly Option<int> _shutdownTimeout = new("--shutdown-timeout") { Description = "Seconds that a stop waits for events on their way, 0 to 20; what is not stored by then comes again.", DefaultValueFactory = _ => 5 };
    private readonly Option<string> _spoolDirectory = new("--spool-directory") { Description = "Where large transactions wait for their commit.", DefaultValueFactory = _ => Path.GetTempPath() };

    private readonly GuardFlags _guard = new();
    private readonly NatsFlags _nats = new();

    public Option<bool> Verbose { get; } = new("--verbose") { Description = "Say more on standard error." };

    public IReadOnlyList<Option> All =>
    [
        _connection, _slot, _publications, _format, _createSlot, _createPublication, _startLsn, _per, _withTransaction, _values, _target, _file, _natsServers,
        _natsStream, _subjectPrefix, .. _nats.All, _tables, _excludedTables, _columns, _excludedColumns, _hashedColumns, _maskedColumns, _rowFilters, _operations, .. _snapshot.All, _oversized, _deadLetterFile, _maxInFlight,
        _shutdownTimeout, _spoolDirectory, .. _guard.All, Verbose,
    ];

    /// <summary>A problem as the options' rules say it, with the flag that it concerns.</summary>
    public static string InFlags(string problem)
        => problem.IndexOf(':', StringComparison.Ordinal) is > 0 and var colon && Flags.TryGetValue(problem[..colon], out var flag) ? flag + problem[colon..] : problem;

    public (CaptureOptions Options, IReadOnlyList<string> Problems) Read(ParseResult result)
    {
        var problems = new List<string>();
        var options = new CaptureOptions
        {
            ConnectionString = Connection(result, problems),
            Slot = result.GetValue(_slot)!,
            CreateSlot = result.GetValue(_createSlot),
            CreatePublication = result.GetValue(_createPublication),
            StartLsn = StartLsn(result.GetValue(_startLsn), problems),
            Format = Choice(result.GetValue(_format)!, "Unknown output format: {0}. Valid options: {1}", problems,
                ("json", OutputFormat.Json), ("json-pretty", OutputFormat.JsonPretty), ("text", OutputFormat.Text), ("debezium", OutputFormat.Debezium), ("cloudevents", OutputFormat.CloudEvents), ("protobuf", OutputFormat.Protobuf)),
            Per = Choice(result.GetValue(_per)!, "--per: '{0}' is none of {1}", problems, ("change", EventUnit.Change), ("transaction", EventUnit.Transaction)),
            WithTransaction = result.GetValue(_withTransaction),
            Values = Choice(result.GetValue(_values)!, "--values: '{0}' is none of {1}", problems, ("text", ValueStyle.Text), ("typed", ValueStyle.Typed)),
            HashSalt = Environment.GetEnvironmentVariable(SaltVariable) ?? "",
            NatsStream = result.GetValue(_natsStream)!,
            SubjectPrefix = result.GetValue(_subjectPrefix)!,
            Oversized = Choice(result.GetValue(_oversized)!, "--oversized: '{0}' is none of {1}", problems, ("stop", OversizedPolicy.Stop), ("dead-letter", OversizedPolicy.DeadLetter)),
            DeadLetterFile = result.GetValue(_deadLetterFile),
            MaxInFlight = result.GetValue(_maxInFlight),
            ShutdownTimeout = TimeSpan.FromSeconds(result.GetValue(_shutdownTimeout)),
            SpoolDirectory = result.GetValue(_spoolDirectory)!,
        };
        Add(options.Publications, result.GetValue(_publications));
        Add(options.Tables, result.GetValue(_tables));
        Add(options.ExcludedTables, result.GetValue(_excludedTables));
        Add(options.Columns, result.GetValue(_columns));
        Add(options.ExcludedColumns, result.GetValue(_excludedColumns));
        Add(options.HashedColumns, result.GetValue(_hashedColumns));
        Add(options.MaskedColumns, result.GetValue(_maskedColumns));
        Add(options.RowFilters, result.GetValue(_rowFilters));
        ReadOperations(result, options, problems);
        ReadTargets(result, options, problems);
        _nats.Read(result, options, problems);
        _guard.Read(result, options, problems);
        _snapshot.Read(result, options, problems);
        return (options, problems);
    }

    public static Option<string[]> List(string name, string description) => new(name) { Description = description + " May be given several times." };

    public static void Add(ICollection<string> list, string[]? values)
    {
        foreach (var value in values ?? [])
        {
            list.Add(value);
        }
    }

    public static T Choice<T>(string text, string problem, List<string> problems, params (string Name, T Value)[] choices)
        where T : struct
    {
        foreach (var (name, value) in choices)
        {
            if (string.Equals(name, text, StringComparison.OrdinalIgnoreCase))
            {
                return value;
            }
        }

        problems.Add(string.Format(null, problem, text, string.Join(", ", choices.Select(choice => choice.Name))));
        return default;
    }

    private static NpgsqlLogSequenceNumber? StartLsn(string? text, List<string> problems)
    {
        if (text is null)
        {
            return null;
        }

        if (NpgsqlLogSequenceNumber.TryParse(text, out var lsn))
        {
            return lsn;
        }

        problems.Add($"--start-lsn: '{text}' is no WAL position: write two hexadecimal numbers, e.g. 0/16B2D50");
        return null;
    }

    private static IEnumerable<string> Words(IEnumerable<string>? lists)
        => (lists ?? []).SelectMany(list => list.Split(',', StringSplitOptions.TrimEntries));

    private string Connection(ParseResult result, List<string> problems)
    {
        var text = result.GetValue(_connection) ?? Environment.GetEnvironmentVariable(ConnectionVariable);
        if (string.IsNullOrWhiteSpace(text))
        {
            problems.Add($"--connection: give the database, here or in {ConnectionVariable}");
            return "";
        }

        var (connectionString, problem) = ConnectionText.Parse(text);
        if (problem is not null)
        {
            problems.Add($"--connection: {problem}");
        }

        return connectionString;
    }

    private void ReadOperations(ParseResult result, CaptureOptions options, List<string> problems)
    {
        var words = Words(result.GetValue(_operations)).ToArray();
        if (words.Length == 0)
        {
            return;
        }

        options.Operations.Clear();
        foreach (var word in words)
        {
            options.Operations.Add(Choice(word, "--operation: '{0}' is none of {1}", problems,
                ("insert", CapturedOperation.Insert), ("update", CapturedOperation.Update), ("delete", CapturedOperation.Delete), ("truncate", CapturedOperation.Truncate)));
        }
    }

    private void ReadTargets(ParseResult result, CaptureOptions options, List<string> problems)
    {
        var servers = result.GetValue(_natsServers) ?? [];
        var targets = Words(result.GetValue(_target)).Select(target => target.ToLowerInvariant()).ToHashSet();
        foreach (var target in targets.Where(target => target is not ("stdout" or "nats" or "file")))
        {
            problems.Add($"Unknown target '{target}'. Valid targets: stdout, nats, file");
        }

        Need("nats", servers.Length > 0, "--nats-server");
        Need("file", result.GetValue(_file) is not null, "--file");
        var all = targets.Count == 0;
        options.StandardOutput = all || targets.Contains("stdout");
        options.File = all || targets.Contains("file") ? result.GetValue(_file) : null;
        Add(options.NatsServers, all || targets.Contains("nats") ? servers : []);

        // A destination that is given and not used would be a silent loss.
        void Need(string target, bool given, string flag)
        {
            if (targets.Contains(target) && !given)
            {
                problems.Add($"{flag} is required when target includes '{target}'");
            }
            else if (targets.Count > 0 && !targets.Contains(target) && given)
            {
                problems.Add($"{flag} is given, but target does not include '{target}'");
            }
        }
    }
}
