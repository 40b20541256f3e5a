using System.Threading.Channels;
using Microsoft.Extensions.Options;
using Npgsql;
using NpgsqlTypes;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.CdcRelay.Outbox;

/// <summary>What came of one row.</summary>
/// <param name="Transaction">The WAL transaction that brought the row; null when the table did, and the row is parked there.</param>
internal sealed record Mark(OutboxRow Row, PublishOutcome Outcome, TimeSpan Latency, WalProgress.Transaction? Transaction);

/// <summary>
/// Writes outcomes into the history, many with one statement: stored with its place, refused with the reason, or still pending with
/// the failed attempt, which is then parked for the next. A row is settled when that is committed. Only pending rows are touched: whoever comes
/// second changes nothing.
/// </summary>
internal sealed partial class MarkRows(
    NpgsqlDataSource dataSource, InFlightRows inFlight, Wakeups wakeups, RelayMetrics metrics, IOptions<RelayOptions> options, TimeProvider time, ILogger<MarkRows> logger)
{
    // Room for several statements, so that publishing goes on while one runs; beyond that the relay waits for PostgreSQL.
    private readonly Channel<Mark> _marks = Channel.CreateBounded<Mark>(
        new BoundedChannelOptions(options.Value.MarkBatch * 8) { SingleReader = true });

    public ValueTask EnqueueAsync(Mark mark, CancellationToken cancellationToken) => _marks.Writer.WriteAsync(mark, cancellationToken);

    /// <summary>No further marks come: <see cref="RunAsync"/> ends after those that are there.</summary>
    public void Complete() => _marks.Writer.TryComplete();

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var batch = new List<Mark>(options.Value.MarkBatch);
        while (batch.Count > 0 || await _marks.Reader.WaitToReadAsync(cancellationToken))
        {
            Take(batch);
            if (batch.Count < options.Value.MarkBatch && !_marks.Reader.Completion.IsCompleted)
            {
                await Task.Delay(options.Value.MarkLinger, time, cancellationToken);
                Take(batch);
            }

            var unmarked = await WriteAsync(batch, cancellationToken);
            foreach (var mark in batch.Where(mark => !unmarked.Contains(mark.Row.PublishId)))
            {
                inFlight.Settle(mark.Row.PublishId);
                mark.Transaction?.RowSettled();
                metrics.Marked(mark);
            }

            batch.RemoveAll(mark => !unmarked.Contains(mark.Row.PublishId));
        }
    }

    private void Take(List<Mark> batch)
    {
        while (batch.Count < options.Value.MarkBatch && _marks.Reader.TryRead(out var mark))
        {
            batch.Add(mark);
        }
    }

    // All of it or nothing: the commands of a batch are one transaction. A failure ends the leader's term; the next one
    // reads the rows again and finds most of them to be duplicates.
    private async Task<HashSet<long>> WriteAsync(List<Mark> marks, CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var batch = new NpgsqlBatch(connection);
        var stored = marks.Where(mark => PlaceOf(mark.Outcome) is not null).ToList();
        if (stored.Count > 0)
        {
            batch.BatchCommands.Add(Store(stored));
        }

        var refused = marks.Where(mark => mark.Outcome is PublishOutcome.Refused).ToList();
        if (refused.Count > 0)
        {
            batch.BatchCommands.Add(Refuse(refused));
        }

        // Also an outcome this code has never heard of: pending is tried again, so nothing is dropped by mistake.
        var parked = marks.Where(mark => PlaceOf(mark.Outcome) is null && mark.Outcome is not PublishOutcome.Refused).ToList();
        if (parked.Count > 0)
        {
            batch.BatchCommands.Add(Park(parked));
        }

        var marked = await ExecuteAsync(batch, cancellationToken);
        Marked(stored.Count, refused.Count, parked.Count);
        if (parked.Count > 0)
        {
            wakeups.Retry.Set();
        }

        return marked == marks.Count ? [] : await UnmarkedAsync(connection, marks, cancellationToken);
    }

    private static async Task<int> ExecuteAsync(NpgsqlBatch batch, CancellationToken cancellationToken)
    {
        var marked = 0;
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        do
        {
            await reader.ReadAsync(cancellationToken);
            marked += reader.GetInt32(0);
        }
        while (await reader.NextResultAsync(cancellationToken));
        return marked;
    }

    // The WAL brings a row when its commit is on disk, which is a moment before other sessions see it. On a busy machine the PubAck
    // is back within that moment, and the mark has to come again: for rows that are not there although their transaction may not be over
    // (else they are gone), and for those that came into sight just after the mark.
    private async Task<HashSet<long>> UnmarkedAsync(NpgsqlConnection connection, List<Mark> marks, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("""
            SELECT m.publish_id
              FROM unnest($1, $2, $3) AS m (publish_id, xid, parked) LEFT JOIN rule_nats_publish_history h ON h.publish_id = m.publish_id
             WHERE CASE WHEN h.publish_id IS NULL THEN m.xid >= pg_snapshot_xmin(pg_current_snapshot())
                        ELSE h.state = 'pending' AND NOT (m.parked AND EXISTS (SELECT FROM rule_nats_relay_parked p WHERE p.publish_id = m.publish_id)) END
            """, connection)
        {
            Parameters =
            {
                new() { Value = marks.ConvertAll(mark => mark.Row.PublishId) },
                new() { Value = marks.ConvertAll(mark => mark.Row.Xid), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Xid8 },
                new() { Value = marks.ConvertAll(mark => mark.Outcome is PublishOutcome.Unavailable) },
            },
        };
        var unmarked = new HashSet<long>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            unmarked.Add(reader.GetInt64(0));
        }

        if (unmarked.Count > 0)
        {
            NotMarkedYet(unmarked.Count);
        }

        return unmarked;
    }

    private static NpgsqlBatchCommand Store(List<Mark> marks) => new("SELECT rule_nats_mark_stored($1, $2, $3, $4, $5)")
    {
        Parameters =
        {
            new() { Value = marks.ConvertAll(mark => mark.Row.PublishId) },
            new() { Value = marks.ConvertAll(mark => PlaceOf(mark.Outcome)!.Value.Stream) },
            new() { Value = marks.ConvertAll(mark => (long)PlaceOf(mark.Outcome)!.Value.Sequence) },
            new() { Value = marks.ConvertAll(mark => mark.Outcome is PublishOutcome.Duplicate) },
            new() { Value = marks.ConvertAll(mark => Math.Max(0, mark.Latency.TotalMilliseconds)) },
        },
    };

    private static NpgsqlBatchCommand Refuse(List<Mark> marks) => new("SELECT rule_nats_mark_refused($1, $2)")
    {
        Parameters =
        {
            new() { Value = marks.ConvertAll(mark => mark.Row.PublishId) },
            new() { Value = marks.ConvertAll(mark => mark.Outcome is PublishOutcome.Refused refused ? $"{refused.Reason}: {refused.Message}" : "") },
        },
    };

    private NpgsqlBatchCommand Park(List<Mark> marks) => new("SELECT rule_nats_park($1, $2, $3)")
    {
        Parameters =
        {
            new() { Value = marks.ConvertAll(mark => mark.Row.PublishId) },
            new() { Value = marks.ConvertAll(mark => mark.Outcome is PublishOutcome.Unavailable unavailable ? $"{unavailable.Reason}: {unavailable.Message}" : $"{mark.Outcome}") },
            new() { Value = marks.ConvertAll(mark => RetryPause.After(mark.Row.Attempts + 1, options.Value.RetryMinimum, options.Value.RetryMaximum)) },
        },
    };

    private static (string Stream, ulong Sequence)? PlaceOf(PublishOutcome outcome) => outcome switch
    {
        PublishOutcome.Stored stored => (stored.Stream, stored.Sequence),
        PublishOutcome.Duplicate duplicate => (duplicate.Stream, duplicate.Sequence),
        _ => null,
    };

    [LoggerMessage(Level = LogLevel.Debug, Message = "{Rows} rows are stored before their commit can be seen; marking them again")]
    private partial void NotMarkedYet(int rows);

    [LoggerMessage(Level = LogLevel.Debug, Message = "marked {Stored} rows stored, {Refused} refused, {Parked} to be tried again")]
    private partial void Marked(int stored, int refused, int parked);
}
