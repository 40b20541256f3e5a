using System.Diagnostics;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace RuleEngineNats.SchemaMigrator;

/// <summary>
/// Waits for the database, takes the advisory lock and applies what is missing, all in one transaction: whoever uses the database meanwhile sees
/// the schema of before or that of after, and a failure leaves it as it was.
/// </summary>
internal sealed partial class MigrateDatabase(IConfiguration configuration, TimeProvider time, ILogger<MigrateDatabase> logger)
{
    // "rule-sql" as a number. Advisory locks are per database, so only migrators of the same database wait for each other.
    private const long LockKey = 0x72756C652D73716C;

    // In a deadlock with one of the database's users this side must be the one that gives in. It looks for one at once, where it may say so, and waits for
    // a lock for less than the second after which the others look; then it lets go of everything, and those queued behind it go first. Every publish
    // reads rule_webhooks before it locks anything else: whoever has this table meets no publisher at another.
    private static readonly Migration Gate = new("the lock that keeps publishers out", "", "", """
        SELECT set_config('lock_timeout', '500ms', true),
               CASE WHEN has_parameter_privilege('deadlock_timeout', 'SET') THEN set_config('deadlock_timeout', '1ms', true) END;
        DO $$ BEGIN
            IF to_regclass('public.rule_webhooks') IS NOT NULL THEN
                LOCK TABLE public.rule_webhooks IN ACCESS EXCLUSIVE MODE;
            END IF;
        END $$;
        """);

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);

    public async Task<MigrationOutcome> RunAsync(bool verify, CancellationToken cancellationToken)
    {
        if (configuration.GetConnectionString("rules") is not { Length: > 0 } connectionString)
        {
            LogNoConnectionString();
            return MigrationOutcome.Unavailable;
        }

        try
        {
            // Pooling is of no use to one connection; a migration may take as long as it needs.
            var settings = new NpgsqlConnectionStringBuilder(connectionString)
            {
                Pooling = false,
                CommandTimeout = 0,
                SearchPath = "public",
                ApplicationName = "schema-migrator",
            };
            await using var connection = await ConnectAsync(settings.ConnectionString, cancellationToken);
            if (connection is null)
            {
                return MigrationOutcome.Unavailable;
            }

            connection.Notice += (_, notice) => LogNotice(
                notice.Notice.Severity == "WARNING" ? LogLevel.Warning : LogLevel.Debug, notice.Notice.Severity, notice.Notice.MessageText);
            await PrepareAsync(connection, cancellationToken);
            return verify
                ? await VerifyAsync(connection, cancellationToken)
                : await ApplyAsync(connection, Migration.Embedded(), cancellationToken);
        }
        catch (MigrationFailedException e)
        {
            LogFailed(e.File, e.Line, e.Message, e.Detail);
            return MigrationOutcome.Failed;
        }
        catch (NpgsqlException e)
        {
            LogBroken(e, e.Message);
            return MigrationOutcome.Failed;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return MigrationOutcome.Cancelled;
        }
    }

    internal async Task<MigrationOutcome> ApplyAsync(NpgsqlConnection connection, IReadOnlyList<Migration> migrations, CancellationToken cancellationToken)
    {
        var recorded = await RecordedAsync(connection, cancellationToken);
        if (Drifted(migrations, recorded))
        {
            return MigrationOutcome.Drift;
        }

        var missing = Missing(migrations, recorded);
        if (missing.Count > 0)
        {
            await ApplyAtOnceAsync(connection, missing, cancellationToken);
        }

        LogUpToDate(migrations.Count, missing.Count);
        return MigrationOutcome.UpToDate;
    }

    private static List<Migration> Missing(IReadOnlyList<Migration> migrations, Dictionary<string, string?> recorded)
    {
        var changed = migrations.Any(migration => recorded.GetValueOrDefault(migration.Version) != migration.Checksum);
        return [.. migrations.Where(migration => changed && (migration.Repeatable || recorded.GetValueOrDefault(migration.Version) is null))];
    }

    private async Task ApplyAtOnceAsync(NpgsqlConnection connection, IReadOnlyList<Migration> missing, CancellationToken cancellationToken)
    {
        var start = time.GetTimestamp();
        while (true)
        {
            var applied = new List<(string File, long Milliseconds)>();
            await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
            try
            {
                await ExecuteAsync(connection, Gate, cancellationToken);
                foreach (var migration in missing)
                {
                    var clock = Stopwatch.StartNew();
                    await ExecuteAsync(connection, migration, cancellationToken);
                    await RecordAsync(connection, migration, cancellationToken);
                    applied.Add((migration.File, clock.ElapsedMilliseconds));
                }

                await transaction.CommitAsync(cancellationToken);
                applied.ForEach(file => LogApplied(file.File, file.Milliseconds));
                return;
            }
            catch (MigrationFailedException e) when (e.SqlState is PostgresErrorCodes.LockNotAvailable or PostgresErrorCodes.DeadlockDetected && time.GetElapsedTime(start) < Patience)
            {
                await transaction.RollbackAsync(cancellationToken);
                LogBusy(e.File, e.Line, e.Message);
                await Task.Delay(Pause, time, cancellationToken);
            }
        }
    }

    private async Task<MigrationOutcome> VerifyAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var migrations = Migration.Embedded();
        var recorded = await RecordedAsync(connection, cancellationToken);
        if (Drifted(migrations, recorded))
        {
            return MigrationOutcome.Drift;
        }

        if (migrations.FirstOrDefault(migration => !recorded.ContainsKey(migration.Version)) is { } missing)
        {
            LogMissing(missing.File);
            return MigrationOutcome.NotRepeatable;
        }

        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var before = await SchemaFingerprint.ReadAsync(connection, cancellationToken);
        foreach (var migration in migrations)
        {
            await ExecuteAsync(connection, migration, cancellationToken);
        }

        var after = await SchemaFingerprint.ReadAsync(connection, cancellationToken);
        await transaction.RollbackAsync(cancellationToken);
        var changes = SchemaFingerprint.Compare(before, after);
        foreach (var change in changes)
        {
            LogChanges(change);
        }

        if (changes.Count > 0)
        {
            return MigrationOutcome.NotRepeatable;
        }

        LogVerified(migrations.Count, after.Count);
        return MigrationOutcome.UpToDate;
    }

    private bool Drifted(IReadOnlyList<Migration> migrations, Dictionary<string, string?> recorded)
    {
        var drifted = migrations.Where(migration => !migration.Repeatable &&
            recorded.TryGetValue(migration.Version, out var checksum) && checksum is not null && checksum != migration.Checksum).ToList();
        foreach (var migration in drifted)
        {
            LogDrift(migration.File, recorded[migration.Version]!, migration.Checksum);
        }

        return drifted.Count > 0;
    }

    // The server may still be starting, and an orchestrator may create the database a moment after it.
    private async Task<NpgsqlConnection?> ConnectAsync(string connectionString, CancellationToken cancellationToken)
    {
        var start = time.GetTimestamp();
        while (true)
        {
            var connection = new NpgsqlConnection(connectionString);
            try
            {
                await connection.OpenAsync(cancellationToken);
                return connection;
            }
            catch (NpgsqlException e)
            {
                await connection.DisposeAsync();
                var final = e is PostgresException { SqlState: ['2', '8', ..] or "42501" };
                if (final || time.GetElapsedTime(start) > Patience)
                {
                    LogUnavailable((int)time.GetElapsedTime(start).TotalSeconds, e.Message);
                    return null;
                }

                await Task.Delay(Pause, time, cancellationToken);
            }
        }
    }

    private static async Task PrepareAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("""
            SELECT set_config('statement_timeout', '0', false), set_config('lock_timeout', '0', false)
            """, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
        command.CommandText = "SELECT pg_advisory_lock($1)";
        command.Parameters.Add(new() { Value = LockKey });
        await command.ExecuteNonQueryAsync(cancellationToken);
        command.Parameters.Clear();
        command.CommandText = """
            CREATE TABLE IF NOT EXISTS schema_migrations (
                version text PRIMARY KEY, description text, applied_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP);
            ALTER TABLE schema_migrations ADD COLUMN IF NOT EXISTS checksum text;
            """;
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private static async Task<Dictionary<string, string?>> RecordedAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var recorded = new Dictionary<string, string?>(StringComparer.Ordinal);
        await using var command = new NpgsqlCommand("SELECT version, checksum FROM schema_migrations", connection);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            recorded[reader.GetString(0)] = reader.IsDBNull(1) ? null : reader.GetString(1);
        }

        return recorded;
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, Migration migration, CancellationToken cancellationToken)
    {
        foreach (var statement in SqlStatement.Split(migration.Text))
        {
            try
            {
                await using var command = new NpgsqlCommand(statement.Text, connection);
                await command.ExecuteNonQueryAsync(cancellationToken);
            }
            catch (PostgresException e)
            {
                throw new MigrationFailedException(migration.File, statement.LineAt(e.Position), e);
            }
        }
    }

    private static async Task RecordAsync(NpgsqlConnection connection, Migration migration, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("""
            INSERT INTO schema_migrations (version, description, checksum) VALUES ($1, $2, $3)
            ON CONFLICT (version) DO UPDATE SET description = EXCLUDED.description, checksum = EXCLUDED.checksum, applied_at = CURRENT_TIMESTAMP
            """, connection);
        command.Parameters.Add(new() { Value = migration.Version });
        command.Parameters.Add(new() { Value = migration.Description });
        command.Parameters.Add(new() { Value = migration.Checksum });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Applied {File} in {Milliseconds} ms")]
    private partial void LogApplied(string file, long milliseconds);

    [LoggerMessage(Level = LogLevel.Information, Message = "The database is up to date: {Count} migrations, {Applied} of them applied now")]
    private partial void LogUpToDate(int count, int applied);

    [LoggerMessage(Level = LogLevel.Information, Message = "Verified: applying {Count} migrations again changes none of {Objects} objects")]
    private partial void LogVerified(int count, int objects);

    [LoggerMessage(Level = LogLevel.Error, Message = "Applying the migrations again would change {Change}")]
    private partial void LogChanges(string change);

    [LoggerMessage(Level = LogLevel.Error, Message = "{File} is not applied: run without --verify first")]
    private partial void LogMissing(string file);

    [LoggerMessage(Level = LogLevel.Error, Message = "{File} was applied with checksum {Recorded}, this build has {Checksum}. Migrations are forward-only: add the next one instead of changing an applied one")]
    private partial void LogDrift(string file, string recorded, string checksum);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{File} line {Line} has to wait for the database's other users and is tried again: {Error}")]
    private partial void LogBusy(string file, int line, string error);

    [LoggerMessage(Level = LogLevel.Error, Message = "{File} line {Line}: {Error} {Detail}")]
    private partial void LogFailed(string file, int line, string error, string detail);

    [LoggerMessage(Level = LogLevel.Error, Message = "The connection to the database broke: {Error}")]
    private partial void LogBroken(Exception exception, string error);

    [LoggerMessage(Level = LogLevel.Error, Message = "No connection string: set ConnectionStrings__rules")]
    private partial void LogNoConnectionString();

    [LoggerMessage(Level = LogLevel.Error, Message = "The database did not answer within {Seconds} s: {Error}")]
    private partial void LogUnavailable(int seconds, string error);

    [LoggerMessage(Message = "{Severity}: {Text}")]
    private partial void LogNotice(LogLevel level, string severity, string text);
}
