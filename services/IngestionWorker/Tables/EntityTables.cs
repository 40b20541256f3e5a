using Microsoft.Extensions.Diagnostics.HealthChecks;
using Npgsql;
using RuleEngineNats.Entities;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.IngestionWorker.Tables;

/// <summary>
/// Makes the tables of the definitions, at start and when those change; only then are documents read with them. A batch in work ends with what it began with. Existing
/// tables are never altered: what differs is reported.
/// </summary>
internal sealed partial class EntityTables(EntityFolder folder, NpgsqlDataSource database, ILogger<EntityTables> logger) : BackgroundService, IHealthCheck
{
    private const int MaxReported = 10;

    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);

    private readonly TaskCompletionSource _first = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SemaphoreSlim _applying = new(1, 1);
    private readonly SemaphoreSlim _wake = new(0, 1);
    private volatile EntityReader? _reader;
    private volatile IReadOnlyList<TableDifference> _differences = [];
    private volatile string? _problem;

    /// <summary>Reads with the definitions whose tables exist; null before there are any.</summary>
    public EntityReader? Reader => _reader;

    public Task WaitForFirstAsync(CancellationToken cancellationToken) => _first.Task.WaitAsync(cancellationToken);

    /// <summary>After a write found something missing: makes it where it can.</summary>
    public async Task RepairAsync(CancellationToken cancellationToken)
    {
        if (await TryApplyAsync(folder.Current, cancellationToken) is { } problem)
        {
            LogFailed(problem);
        }
    }

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var problems = folder.Problems;
        string[] reasons =
        [
            .. problems.Take(MaxReported).Select(problem => problem.ToString()),
            .. problems.Count > MaxReported ? (string[])[$"{problems.Count - MaxReported} more problems of definitions"] : [],
            .. _differences.Take(MaxReported).Select(difference => difference.ToString()),
            .. _problem is { } problem ? (string[])[problem] : [],
            .. _reader is { Catalog.Roots.Count: 0 } ? (string[])["no entity is defined: every document becomes a dead letter (no_entity)"] : [],
        ];
        var description = string.Join("; ", reasons);
        return Task.FromResult(
            _reader is null ? HealthCheckResult.Unhealthy(description.Length == 0 ? "the tables of the entities are not made yet" : description)
            : reasons.Length > 0 ? HealthCheckResult.Degraded(description)
            : HealthCheckResult.Healthy());
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        folder.Changed += Wake;
        try
        {
            for (var failures = 0; ;)
            {
                var catalog = folder.Current;
                // Broken definitions at start are none: to take them for an empty folder would make a dead letter of every document.
                // What differs is looked at until somebody has changed it.
                if ((_reader is not null || folder.Problems.Count == 0) && (catalog.Version != _reader?.Catalog.Version || _differences.Count > 0))
                {
                    _problem = await TryApplyAsync(catalog, stoppingToken);
                }

                failures = _problem is null ? 0 : failures + 1;
                await _wake.WaitAsync(failures == 0 ? LookEvery : RetryPause.After(failures, FirstPause, LongestPause), stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The service stops.
        }
        finally
        {
            folder.Changed -= Wake;
        }
    }

    private async Task<string?> TryApplyAsync(EntityCatalog catalog, CancellationToken cancellationToken)
    {
        await _applying.WaitAsync(cancellationToken);
        try
        {
            _differences = await ApplyAsync(catalog, cancellationToken);
            if (_reader?.Catalog.Version != catalog.Version)
            {
                _reader = new(catalog);
                LogReady(catalog.Entities.Count, catalog.Tables.Count, catalog.Version);
            }

            _first.TrySetResult();
            return null;
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException or IOException)
        {
            return $"the tables of the entities: {e.Message}";
        }
        finally
        {
            _applying.Release();
        }
    }

    private async Task<IReadOnlyList<TableDifference>> ApplyAsync(EntityCatalog catalog, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        // Workers that start at once would make the same table at once, which PostgreSQL refuses to one of them.
        await using (var wait = new NpgsqlCommand("SELECT pg_advisory_xact_lock(hashtextextended('tables of entities', 0))", connection))
        {
            await wait.ExecuteNonQueryAsync(cancellationToken);
        }

        var existing = await ColumnsAsync(connection, catalog, cancellationToken);
        var statements = await MissingAsync(connection, catalog, existing.Select(column => column.Table).ToHashSet(StringComparer.Ordinal), cancellationToken);
        foreach (var statement in statements)
        {
            await using var command = new NpgsqlCommand(statement, connection);
            await command.ExecuteNonQueryAsync(cancellationToken);
        }

        await transaction.CommitAsync(cancellationToken);
        var differences = CompareTables.Compare(catalog, existing);
        foreach (var difference in differences.Except(_differences))
        {
            LogDiffers(difference.ToString());
        }

        return differences;
    }

    private static async Task<List<ExistingColumn>> ColumnsAsync(NpgsqlConnection connection, EntityCatalog catalog, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(EntityDdl.ExistingColumns, connection);
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. catalog.Tables.Select(table => table.Name)] });
        var existing = new List<ExistingColumn>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            existing.Add(new(reader.GetString(0), reader.GetString(1), reader.GetString(2), reader.GetBoolean(3), reader.GetBoolean(4)));
        }

        return existing;
    }

    // Of a table that exists only its indexes that do not: even IF NOT EXISTS waits for whoever writes to it, and asks for more privileges than writing does.
    private static async Task<List<string>> MissingAsync(NpgsqlConnection connection, EntityCatalog catalog, HashSet<string> tables, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT n.name FROM unnest($1) AS n (name) WHERE to_regclass(quote_ident(n.name)) IS NOT NULL", connection);
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. catalog.Tables.SelectMany(table => table.Indexes).Select(index => index.Name)] });
        var indexes = new HashSet<string>(StringComparer.Ordinal);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            indexes.Add(reader.GetString(0));
        }

        return
        [
            .. catalog.Tables.SelectMany(table => !tables.Contains(table.Name)
                ? EntityDdl.Statements(table)
                : EntityDdl.Statements(table).Skip(1).Zip(table.Indexes).Where(one => !indexes.Contains(one.Second.Name)).Select(one => one.First)),
        ];
    }

    private void Wake(object? sender, EventArgs arguments)
    {
        lock (_wake)
        {
            if (_wake.CurrentCount == 0)
            {
                _wake.Release();
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Entities} entities with {Tables} tables are in use, version {Version}")]
    private partial void LogReady(int entities, int tables, string version);

    [LoggerMessage(Level = LogLevel.Warning, Message = "a table is not what its entity says: {Difference}")]
    private partial void LogDiffers(string difference);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Reason}")]
    private partial void LogFailed(string reason);
}
