using System.Threading.Channels;
using Microsoft.Extensions.Options;
using Npgsql;
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
        while (await _marks.Reader.WaitToReadAsync(cancellationToken))
        {
            Take(batch);
            if (batch.Count < options.Value.MarkBatch && !_marks.Reader.Completion.IsCompleted)
            {
                await Task.Delay(options.Value.MarkLinger, time, cancellationToken);
                Take(batch);
            }

            await WriteAsync(batch, cancellationToken);
            foreach (var mark in batch)
            {
                inFlight.Settle(mark.Row.PublishId);
                mark.Transaction?.RowSettled();
                metrics.Marked(mark);
            }

            batch.Clear();
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
    private async Task WriteAsync(List<Mark> marks, CancellationToken cancellationToken)
    {
        await using var batch = dataSource.CreateBatch();
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

        await batch.ExecuteNonQueryAsync(cancellationToken);
        Marked(stored.Count, refused.Count, parked.Count);
        if (parked.Count > 0)
        {
            wakeups.Retry.Set();
        }
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

    [LoggerMessage(Level = LogLevel.Debug, Message = "marked {Stored} rows stored, {Refused} refused, {Parked} to be tried again")]
    private partial void Marked(int stored, int refused, int parked);
}
