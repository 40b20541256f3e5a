using System.Collections.Concurrent;
using System.Threading.Channels;
using Microsoft.Extensions.Options;
using Npgsql;

namespace RuleEngineNats.IngestionApi.Batches;

/// <summary>What a batch had, as it was answered: a row of <c>ingest_batches</c>.</summary>
internal sealed record BatchRow(Guid Id, DateTimeOffset ReceivedAt, int Lines, int Accepted, int Rejected, int Unavailable, bool IsComplete);

/// <summary>Writes the rows of batches behind the answers: many in one statement, again until PostgreSQL takes them, and never so many that they fill the memory.</summary>
internal sealed partial class BatchRows(NpgsqlDataSource rules, IOptions<IngestionOptions> options, TimeProvider time, ILogger<BatchRows> logger) : BackgroundService
{
    private const int MostAtOnce = 500;

    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(5);

    private readonly Channel<BatchRow> _waiting = Channel.CreateBounded<BatchRow>(new BoundedChannelOptions(options.Value.BatchRowCapacity) { SingleReader = true });
    private readonly ConcurrentDictionary<Guid, BatchRow> _unwritten = new();

    /// <summary>Takes a row to write. Where there is no room it is dropped: the batch's lines are recorded in any case.</summary>
    public void Add(BatchRow row)
    {
        _unwritten[row.Id] = row;
        if (!_waiting.Writer.TryWrite(row))
        {
            _unwritten.TryRemove(row.Id, out _);
            LogDropped(row.Id);
        }
    }

    /// <summary>A row that is not written yet.</summary>
    public BatchRow? FindUnwritten(Guid id) => _unwritten.GetValueOrDefault(id);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            while (await _waiting.Reader.WaitToReadAsync(stoppingToken))
            {
                await WriteAsync(Take(), stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            using var limit = new CancellationTokenSource(StopTimeout, time);
            await TryWriteAsync([.. _unwritten.Values], limit.Token);
        }
    }

    // Of a key that came twice the last one counts, and a statement takes each once.
    private BatchRow[] Take()
    {
        var rows = new Dictionary<Guid, BatchRow>();
        while (rows.Count < MostAtOnce && _waiting.Reader.TryRead(out var row))
        {
            rows[row.Id] = row;
        }

        return [.. rows.Values];
    }

    private async Task WriteAsync(BatchRow[] rows, CancellationToken cancellationToken)
    {
        while (!await TryWriteAsync(rows, cancellationToken))
        {
            await Task.Delay(Retry, time, cancellationToken);
        }

        foreach (var row in rows)
        {
            _unwritten.TryRemove(KeyValuePair.Create(row.Id, row));
        }
    }

    private async Task<bool> TryWriteAsync(BatchRow[] rows, CancellationToken cancellationToken)
    {
        try
        {
            // A batch that came again says more than before, but where it was cut off earlier.
            await using var command = rules.CreateCommand("""
                INSERT INTO ingest_batches AS b (batch_id, received_at, lines, accepted, rejected, unavailable, complete)
                SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::int[], $4::int[], $5::int[], $6::int[], $7::boolean[])
                ON CONFLICT (batch_id) DO UPDATE
                   SET lines = excluded.lines, accepted = excluded.accepted, rejected = excluded.rejected, unavailable = excluded.unavailable, complete = excluded.complete
                 WHERE excluded.complete >= b.complete AND (excluded.complete > b.complete OR excluded.lines >= b.lines)
                """);
            Add(command, rows, row => row.Id);
            Add(command, rows, row => row.ReceivedAt);
            Add(command, rows, row => row.Lines);
            Add(command, rows, row => row.Accepted);
            Add(command, rows, row => row.Rejected);
            Add(command, rows, row => row.Unavailable);
            Add(command, rows, row => row.IsComplete);
            await command.ExecuteNonQueryAsync(cancellationToken);
            return true;
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            LogNotWritten(rows.Length, e.Message);
            return false;
        }
    }

    private static void Add<T>(NpgsqlCommand command, BatchRow[] rows, Func<BatchRow, T> column)
        => command.Parameters.Add(new NpgsqlParameter<T[]> { TypedValue = Array.ConvertAll(rows, row => column(row)) });

    [LoggerMessage(Level = LogLevel.Warning, Message = "the row of batch {Batch} was dropped: PostgreSQL has not taken those before it")]
    private partial void LogDropped(Guid batch);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Rows} batch rows wait for PostgreSQL: {Reason}")]
    private partial void LogNotWritten(int rows, string reason);
}
