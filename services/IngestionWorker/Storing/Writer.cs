using System.Collections.Concurrent;
using System.Globalization;
using Npgsql;
using RuleEngineNats.Entities;

namespace RuleEngineNats.IngestionWorker.Storing;

/// <summary>A connection of a worker's own, with the temporary tables that rows are copied into first; the pool would drop those.</summary>
/// <param name="database">The database.</param>
/// <param name="name">Under which name it counts: each has its own row of the totals, so that none waits for another's commit.</param>
internal sealed class Writer(NpgsqlDataSource database, string name) : IAsyncDisposable
{
    // The session of a worker that was killed notices it only when it answers; until then it would keep the documents it had from the next worker. Not every server can look.
    private const string EndWithUs = "DO $$ BEGIN PERFORM set_config('client_connection_check_interval', '2s', false); EXCEPTION WHEN OTHERS THEN NULL; END $$";

    private const int StagedAfterConflict = 16;

    private readonly Dictionary<EntityTable, TableSql> _tables = new(ReferenceEqualityComparer.Instance);
    private EntityCatalog? _catalog;
    private int _stages;
    private int _staged;

    public string Name => name;

    /// <summary>Null while there is none.</summary>
    public NpgsqlConnection? Connection { get; private set; }

    public TableSql this[EntityTable table] => _tables[table];

    /// <summary>Whether the next rows may be taken for new ones: not for a while after some were not, or the attempt failed.</summary>
    public bool ExpectsNewRows() => _staged == 0 || --_staged < 0;

    public void ExpectKnownRows() => _staged = StagedAfterConflict;

    /// <summary>Opens it where it is not open, and makes the temporary tables of those that get rows.</summary>
    public async Task PrepareAsync(EntityCatalog catalog, IEnumerable<EntityTable> tables, CancellationToken cancellationToken)
    {
        Connection ??= await database.OpenConnectionAsync(cancellationToken);
        if (catalog != _catalog)
        {
            await ExecuteAsync($"DISCARD TEMP; {EndWithUs}", cancellationToken);
            _tables.Clear();
            _catalog = catalog;
        }

        foreach (var table in tables)
        {
            if (!_tables.ContainsKey(table))
            {
                var sql = TableSql.Of(table, string.Create(CultureInfo.InvariantCulture, $"ingest_stage_{++_stages}"));
                await ExecuteAsync(sql.CreateStage, cancellationToken);
                _tables[table] = sql;
            }
        }
    }

    /// <summary>After a failure that may have left the connection, or the temporary tables, in any state.</summary>
    public async ValueTask CloseAsync()
    {
        var connection = Connection;
        (Connection, _catalog) = (null, null);
        ExpectKnownRows();
        _tables.Clear();
        if (connection is not null)
        {
            await connection.DisposeAsync();
        }
    }

    public ValueTask DisposeAsync() => CloseAsync();

    private async Task ExecuteAsync(string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, Connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}

/// <summary>The writers of this process: one for each batch in work.</summary>
internal sealed class Writers : IAsyncDisposable
{
    private readonly ConcurrentStack<Writer> _free;

    public Writers(NpgsqlDataSource database, IngestionWorkerOptions options)
        => _free = new(Enumerable.Range(1, options.Concurrency).Select(
            number => new Writer(database, string.Create(CultureInfo.InvariantCulture, $"{options.Name ?? Environment.MachineName}#{number}"))));

    public Writer Rent() => _free.TryPop(out var writer) ? writer : throw new InvalidOperationException("more batches in work than writers");

    public void Return(Writer writer) => _free.Push(writer);

    public async ValueTask DisposeAsync()
    {
        while (_free.TryPop(out var writer))
        {
            await writer.DisposeAsync();
        }
    }
}
