using System.Diagnostics.Metrics;
using System.Threading.Channels;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace RuleEngineNats.Messaging;

/// <summary>
/// Writes finished publishes into <c>rule_nats_publish_history</c>, off the publish path: a batch is written when it is full
/// (<see cref="MessagingOptions.HistoryBatch"/>) or its first row has waited <see cref="MessagingOptions.HistoryDelay"/>. While PostgreSQL is away rows are
/// held, up to <see cref="MessagingOptions.HistoryCapacity"/> and up to <see cref="MessagingOptions.LargePayloads"/> with a large body; then enqueueing waits. At shutdown what is held is written. A killed process loses the
/// rows it holds: the events themselves are in the stream.
/// </summary>
public sealed partial class HistoryWriter : BackgroundService
{
    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestRetry = TimeSpan.FromSeconds(5);

    // Within the host's shutdown time.
    private static readonly TimeSpan LastFlush = TimeSpan.FromSeconds(10);

    private readonly NpgsqlDataSource _dataSource;
    private readonly MessagingOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger<HistoryWriter> _logger;
    private readonly Channel<HistoryRow> _rows;
    private readonly Counter<long> _written;
    private readonly SemaphoreSlim _large;

    /// <summary>Called by the container.</summary>
    public HistoryWriter(NpgsqlDataSource dataSource, IOptions<MessagingOptions> options, TimeProvider time, ILogger<HistoryWriter> logger)
    {
        _dataSource = dataSource;
        _options = options.Value;
        _time = time;
        _logger = logger;
        _rows = Channel.CreateBounded<HistoryRow>(new BoundedChannelOptions(_options.HistoryCapacity) { SingleReader = true });
        _large = new(_options.LargePayloads);
        _written = Telemetry.Meter.CreateCounter<long>("ruleengine.history.rows", "{row}", "History rows written after their publish.");
        Telemetry.Meter.CreateObservableGauge("ruleengine.history.queued", () => _rows.Reader.Count, "{row}", "History rows waiting to be written.");
    }

    /// <summary>Rows waiting to be written.</summary>
    public int Queued => _rows.Reader.Count;

    /// <summary>Hands a row over; waits only when a bound is reached.</summary>
    public async ValueTask EnqueueAsync(HistoryRow row, CancellationToken cancellationToken)
    {
        if (IsLarge(row))
        {
            await _large.WaitAsync(cancellationToken);
        }

        await _rows.Writer.WriteAsync(row, cancellationToken);
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        base.Dispose();
        _large.Dispose();
    }

    /// <inheritdoc/>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        _rows.Writer.TryComplete();
        await base.StopAsync(cancellationToken);
    }

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var batch = new List<HistoryRow>(_options.HistoryBatch);

        // The stop signal ends the waiting, not the writing.
        using var end = new CancellationTokenSource();
        await using var stop = stoppingToken.UnsafeRegister(_ => end.CancelAfter(LastFlush), null);
        while (await FillAsync(batch, stoppingToken))
        {
            if (!await WriteAsync(batch, end.Token))
            {
                LogLost(batch.Count + _rows.Reader.Count);
                return;
            }

            if (batch.Count(IsLarge) is > 0 and var large)
            {
                _large.Release(large);
            }

            batch.Clear();
        }
    }

    private static bool IsLarge(HistoryRow row) => row.Message.Body.Length > PayloadObjects.LargeBytes;

    private async Task<bool> FillAsync(List<HistoryRow> batch, CancellationToken stopping)
    {
        if (!await _rows.Reader.WaitToReadAsync(CancellationToken.None))
        {
            return false;
        }

        Take(batch);
        if (batch.Count < _options.HistoryBatch && !stopping.IsCancellationRequested)
        {
            await Task.Delay(_options.HistoryDelay, _time, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            Take(batch);
        }

        return true;
    }

    private void Take(List<HistoryRow> batch)
    {
        while (batch.Count < _options.HistoryBatch && _rows.Reader.TryRead(out var row))
        {
            batch.Add(row);
        }
    }

    private async Task<bool> WriteAsync(List<HistoryRow> batch, CancellationToken end)
    {
        var withKeys = true;
        for (var wait = FirstRetry; !end.IsCancellationRequested; wait = wait * 2 < LongestRetry ? wait * 2 : LongestRetry)
        {
            try
            {
                await HistoryTable.InsertAsync(_dataSource, batch, withKeys, end);
                _written.Add(batch.Count);
                return true;
            }
            catch (PostgresException exception) when (IsAboutTheRows(exception) && !end.IsCancellationRequested)
            {
                // One row that the table does not take, or whose key somebody holds, must not hold up the others.
                if (batch.Count > 1)
                {
                    return await WriteOneByOneAsync(batch, end);
                }

                if (exception.SqlState == PostgresErrorCodes.LockNotAvailable && withKeys)
                {
                    withKeys = false;
                    continue;
                }

                LogRefused(batch[0].Message.MessageId, exception.MessageText);
                return true;
            }
            catch (Exception exception) when (!end.IsCancellationRequested)
            {
                LogRetrying(batch.Count, exception.Message);
                await Task.Delay(wait, _time, end).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            catch (Exception exception)
            {
                LogRetrying(batch.Count, exception.Message);
            }
        }

        return false;
    }

    private async Task<bool> WriteOneByOneAsync(List<HistoryRow> batch, CancellationToken end)
    {
        foreach (var row in batch)
        {
            if (!await WriteAsync([row], end))
            {
                return false;
            }
        }

        return true;
    }

    // Classes 22 (data) and 23 (constraints), and a key locked by another transaction. Everything else passes or is the operator's to mend.
    private static bool IsAboutTheRows(PostgresException exception)
        => exception.SqlState == PostgresErrorCodes.LockNotAvailable
            || exception.SqlState.StartsWith("22", StringComparison.Ordinal) || exception.SqlState.StartsWith("23", StringComparison.Ordinal);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Rows} history rows could not be written and will be tried again: {Reason}")]
    private partial void LogRetrying(int rows, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "The history row of {MessageId} is refused by the database: {Reason}")]
    private partial void LogRefused(string messageId, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Rows} history rows were not written before the process had to end; their events are in the stream")]
    private partial void LogLost(int rows);
}
