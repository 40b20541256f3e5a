using System.Globalization;
using Microsoft.Extensions.Logging;
using Npgsql;
using Npgsql.Replication;
using NpgsqlTypes;
using RuleEngineNats.ChangeCapture.Filters;
using RuleEngineNats.ChangeCapture.Snapshots;

namespace RuleEngineNats.ChangeCapture.Replication;

/// <summary>The database: sees to it that it can be captured, and makes what was asked for. What is wrong and stays wrong is a <see cref="CaptureException"/>.</summary>
internal sealed partial class CaptureSource(CaptureOptions options, CaptureFilter filter, MoveSlot slots, ILogger<CaptureSource> logger)
{
    private const int OldestMajor = 14;

    // Values look the same whatever the server's, the database's or the user's settings are.
    private const string WalSettings =
        "-c wal_sender_timeout=30s -c datestyle=ISO -c intervalstyle=postgres -c extra_float_digits=3 -c bytea_output=hex -c timezone=UTC";

    // A snapshot reads every row or says that it cannot, and its marks are in the WAL at once.
    private const string ReadSettings =
        "-c row_security=off -c search_path=pg_catalog -c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0 -c default_transaction_read_only=off -c synchronous_commit=local";

    private bool _hadSlot;
    private bool _undefined;

    /// <summary>Whether the slot is this process's, and a snapshot was asked for together with it.</summary>
    public bool HasCreatedSlot { get; private set; }

    public LogicalReplicationConnection CreateReplication() => new(With("wal", WalSettings))
    {
        // Sent by a timer, also while nothing is read because an output is behind: the server never takes a waiting capture for a dead one.
        WalReceiverStatusInterval = TimeSpan.FromSeconds(5),
        WalReceiverTimeout = TimeSpan.FromSeconds(30),
    };

    /// <summary>An ordinary connection, whose notes in the WAL wait for no standby.</summary>
    public NpgsqlConnection CreateConnection(string purpose) => new(With(purpose, "-c synchronous_commit=local"));

    /// <summary>Leaves out what the slot is behind.</summary>
    /// <returns>Where it goes on.</returns>
    public async Task<NpgsqlLogSequenceNumber> PassBacklogAsync(long behindBytes, CancellationToken cancellationToken)
    {
        await using var connection = CreateConnection("slot");
        await connection.OpenAsync(cancellationToken);
        return await slots.PassBacklogAsync(connection, behindBytes, cancellationToken);
    }

    /// <summary>A connection that snapshots are read with: values look as in the WAL.</summary>
    public NpgsqlConnection CreateReading() => new(With("snapshot", $"{WalSettings} {ReadSettings}"));

    /// <summary>Asks for the snapshot that the options speak of.</summary>
    public async Task RequestSnapshotAsync(CancellationToken cancellationToken)
    {
        await using var connection = CreateReading();
        await connection.OpenAsync(cancellationToken);
        await CheckSnapshotAsync(connection, cancellationToken);
        await TableQueries.EmitAsync(connection, SnapshotMessage.InitialRequest(options), cancellationToken);
    }

    /// <returns>Where to begin.</returns>
    public async Task<NpgsqlLogSequenceNumber?> PrepareAsync(CancellationToken cancellationToken)
    {
        await using var connection = CreateConnection("check");
        try
        {
            await connection.OpenAsync(cancellationToken);
            await CheckServerAsync(connection, cancellationToken);
            await CheckPublicationsAsync(connection, cancellationToken);
            await CheckFiltersAsync(connection, cancellationToken);
            return await CheckSlotAsync(connection, cancellationToken);
        }
        catch (PostgresException exception) when (IsFinal(exception))
        {
            throw Final(exception);
        }
    }

    /// <summary>Waits until the slot is confirmed up to a position.</summary>
    public async Task ConfirmedAsync(ulong lsn, TimeProvider time, CancellationToken cancellationToken)
    {
        await using var connection = CreateConnection("check");
        await connection.OpenAsync(cancellationToken);
        while (await FindSlotAsync(connection, cancellationToken) is { Confirmed: { } confirmed } && (ulong)confirmed < lsn)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(10), time, cancellationToken);
        }
    }

    /// <summary>Whether trying again cannot help before somebody has changed something.</summary>
    public bool IsFinal(PostgresException exception)
    {
        if (exception.SqlState == PostgresErrorCodes.UndefinedObject)
        {
            // The slot itself may be gone: what is looked at before the next time says so, else it is a publication.
            (var again, _undefined) = (_undefined, true);
            return again;
        }

        return exception.SqlState == PostgresErrorCodes.InsufficientPrivilege
            || (!_hadSlot && exception.SqlState is (PostgresErrorCodes.InvalidPassword or PostgresErrorCodes.InvalidAuthorizationSpecification
                or PostgresErrorCodes.InvalidCatalogName or PostgresErrorCodes.ConfigurationLimitExceeded));
    }

    public CaptureException Final(PostgresException exception) => new(
        $"PostgreSQL: {exception.MessageText} ({exception.SqlState}){(exception.Hint is null ? "" : $"; {exception.Hint}")}{(exception.SqlState == PostgresErrorCodes.UndefinedObject ? Unpublished() : "")}", exception);

    // It was there a moment ago: the server means the time of the changes that it reads.
    private string Unpublished()
        => $": not when changes that slot {options.Slot} holds were made, and without it the server sends none of them. Pass over them (SELECT pg_replication_slot_advance('{options.Slot}', pg_current_wal_lsn())), start again, and load the tables anew";

    private async Task CheckServerAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        if (connection.PostgreSqlVersion.Major < OldestMajor)
        {
            throw new CaptureException($"PostgreSQL {connection.ServerVersion} is too old: {OldestMajor} or later is needed (pgoutput protocol 2)");
        }

        var level = await ScalarAsync<string>(connection, "SELECT current_setting('wal_level')", cancellationToken);
        if (level != "logical")
        {
            throw new CaptureException($"wal_level is {level}: set wal_level = logical in postgresql.conf and start PostgreSQL anew");
        }

        if (await ScalarAsync<string>(connection, "SELECT current_setting('server_encoding')", cancellationToken) == "SQL_ASCII")
        {
            EncodingUnknown(connection.Database);
        }
    }

    private async Task CheckPublicationsAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var missing = await ScalarAsync<string[]>(
            connection,
            "SELECT coalesce(array_agg(n ORDER BY n), '{}') FROM unnest($1) n WHERE NOT EXISTS (SELECT FROM pg_publication WHERE pubname = n)",
            cancellationToken,
            options.Publications.ToArray());
        if (missing.Length == 0)
        {
            return;
        }

        if (!options.CreatePublication)
        {
            throw new CaptureException(
                $"publication {string.Join(", ", missing)} does not exist in database {connection.Database}: create it (CREATE PUBLICATION {Quote(missing[0])} FOR TABLE …), or ask for it with CreatePublication (--create-publication)");
        }

        var tables = filter.LiteralTables;
        foreach (var publication in missing)
        {
            var scope = tables.Count == 0 ? "ALL TABLES" : "TABLE " + string.Join(", ", tables.Select(table => $"{Quote(table.Schema)}.{Quote(table.Table)}"));
            await using var command = new NpgsqlCommand($"CREATE PUBLICATION {Quote(publication)} FOR {scope}", connection);
            try
            {
                await command.ExecuteNonQueryAsync(cancellationToken);
            }
            catch (PostgresException exception) when (exception.SqlState is not PostgresErrorCodes.AdminShutdown)
            {
                throw new CaptureException($"publication {publication} cannot be created: {exception.MessageText} ({exception.SqlState})", exception);
            }

            PublicationCreated(publication, scope);
        }
    }

    private async Task CheckFiltersAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            SELECT p.schemaname::text, p.tablename::text, array_agg(DISTINCT a.attname::text)
              FROM pg_publication_tables p
              JOIN pg_namespace n ON n.nspname = p.schemaname
              JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
              LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
             WHERE p.pubname = ANY ($1)
             GROUP BY 1, 2 ORDER BY 1, 2
            """,
            connection)
        {
            Parameters = { new() { Value = options.Publications.ToArray() } },
        };
        var published = new List<PublishedTable>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            published.Add(new(reader.GetString(0), reader.GetString(1), reader.GetFieldValue<string[]>(2)));
        }

        // Only at the start: a table that is dropped later ends nothing.
        await reader.DisposeAsync();
        if (!_hadSlot && ((IReadOnlyList<string>)[.. await filter.CompileRowsAsync(connection, cancellationToken), .. filter.Check(published)]) is { Count: > 0 } problems)
        {
            throw new CaptureException(string.Join(Environment.NewLine, problems));
        }

        if (published.Count == 0)
        {
            NothingPublished(string.Join(", ", options.Publications));
        }
    }

    private async Task<NpgsqlLogSequenceNumber?> CheckSlotAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        if (await FindSlotAsync(connection, cancellationToken) is not { } slot)
        {
            if (_hadSlot)
            {
                throw new CaptureException($"slot {options.Slot} was dropped while it was read: changes since may be lost. Start again with --create-slot, and load the tables anew") { Failure = CaptureFailure.SlotLost };
            }

            if (!options.CreateSlot)
            {
                throw new CaptureException($"slot {options.Slot} does not exist: create it with CreateSlot (--create-slot), or name one that does") { Failure = CaptureFailure.SlotLost };
            }

            if (options.Snapshot is not SnapshotMode.Never)
            {
                await CheckSnapshotAsync(connection, cancellationToken);
            }

            HasCreatedSlot = await slots.CreateAsync(connection, null, "the slot was made here", cancellationToken);
            slot = await FindSlotAsync(connection, cancellationToken) ?? throw new CaptureException($"slot {options.Slot} is gone as soon as it was created");
        }

        if (slot.IsLost && options.RecoverSlot)
        {
            HasCreatedSlot = await slots.ReplaceAsync(connection, slot.Confirmed, cancellationToken);
            slot = await FindSlotAsync(connection, cancellationToken) ?? slot;
        }

        if (slot.Problem(options.Slot, connection.Database) is { } problem)
        {
            throw new CaptureException(problem) { Failure = slot.IsLost ? CaptureFailure.SlotLost : CaptureFailure.Wrong };
        }

        if (options.StartLsn is { } start && !_hadSlot && slot.Confirmed is { } confirmed && start < confirmed)
        {
            throw new CaptureException($"StartLsn: {start} lies before {confirmed}, where slot {options.Slot} is: that WAL may be gone. Give one from there on, or leave it out to begin there");
        }

        if (options.StartLsn is { } ahead && !_hadSlot
            && await ScalarAsync<bool>(connection, "SELECT NOT pg_is_in_recovery() AND $1::text::pg_lsn > pg_current_wal_lsn()", cancellationToken, ahead.ToString()))
        {
            throw new CaptureException($"StartLsn: {ahead} lies after the end of the WAL: everything up to there would be skipped. Give one that is written already (SELECT pg_current_wal_lsn())");
        }

        _hadSlot = true;
        return options.StartLsn;
    }

    private async Task CheckSnapshotAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var (_, problems) = await new SnapshotTables(options, filter).FindAsync(connection, nameof(options.SnapshotTables), [.. options.SnapshotTables], cancellationToken);
        if (problems.Count > 0)
        {
            throw new CaptureException(string.Join(Environment.NewLine, problems));
        }
    }

    private async Task<Slot?> FindSlotAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            "SELECT plugin::text, database::text, wal_status, confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = $1", connection)
        {
            Parameters = { new() { Value = options.Slot } },
        };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? new(
                await reader.IsDBNullAsync(0, cancellationToken) ? null : reader.GetString(0),
                await reader.IsDBNullAsync(1, cancellationToken) ? null : reader.GetString(1),
                await reader.IsDBNullAsync(2, cancellationToken) ? null : reader.GetString(2),
                await reader.IsDBNullAsync(3, cancellationToken) ? null : reader.GetFieldValue<NpgsqlLogSequenceNumber>(3))
            : null;
    }

    private static async Task<T> ScalarAsync<T>(NpgsqlConnection connection, string sql, CancellationToken cancellationToken, object? parameter = null)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        if (parameter is not null)
        {
            command.Parameters.Add(new() { Value = parameter });
        }

        return (T)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    // CREATE PUBLICATION takes no parameters.
    public static string Quote(string identifier) => $"\"{identifier.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";

    private string With(string purpose, string settings)
    {
        var builder = new NpgsqlConnectionStringBuilder(options.ConnectionString) { Pooling = false, Enlist = false };
        builder.ApplicationName ??= string.Create(CultureInfo.InvariantCulture, $"pgoutput-stream {options.Slot} {purpose}");
        builder.Options = $"{builder.Options} {settings}".Trim();
        return builder.ConnectionString;
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "publication {Publication} created for {Scope}")]
    private partial void PublicationCreated(string publication, string scope);

    [LoggerMessage(Level = LogLevel.Warning, Message = "publication {Publications} has no tables: nothing will come until it has")]
    private partial void NothingPublished(string publications);

    [LoggerMessage(Level = LogLevel.Warning, Message = "database {Database} has the encoding SQL_ASCII: values go out as they are, and those that are not UTF-8 make events that are not valid JSON")]
    private partial void EncodingUnknown(string database);

    private sealed record Slot(string? Plugin, string? Database, string? WalStatus, NpgsqlLogSequenceNumber? Confirmed)
    {
        public bool IsLost => WalStatus == "lost";

        public string? Problem(string name, string database)
            => Plugin != "pgoutput" ? $"slot {name} is not one of pgoutput's ({Plugin ?? "physical"}): name another"
            : Database != database ? $"slot {name} belongs to database {Database}, not to {database}: name another, or connect to {Database}"
            : IsLost ? $"slot {name} lost its WAL (max_slot_wal_keep_size): changes since {Confirmed} are missing. Start again with RecoverSlot (--recover-slot): it makes the slot anew, says the gap in an event and reads the tables again"
            : null;
    }
}
