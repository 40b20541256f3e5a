using System.Collections.Concurrent;
using NATS.Client.Core;

namespace RuleEngineNats.IngestionWorker.Pumping;

/// <summary>All that was fetched and is not settled: how much more may be asked for, and that the server hears of it as long as it waits here.</summary>
internal sealed partial class HeldMessages(IngestionWorkerOptions options, TimeProvider time, ILogger logger)
{
    private const int FirstGuess = 2048;

    private readonly Lock _lock = new();
    private readonly ConcurrentDictionary<Arrival, byte> _held = new();
    private readonly int _most = (options.Concurrency + 1) * options.BatchSize;
    private long _bytes;
    private double _average = FirstGuess;
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public void Add(Arrival arrival)
    {
        _held[arrival] = 0;
        lock (_lock)
        {
            _bytes += arrival.Bytes;
            _average += (arrival.Bytes - _average) / 64;
        }
    }

    public void Remove(IEnumerable<Arrival> arrivals)
    {
        lock (_lock)
        {
            foreach (var arrival in arrivals)
            {
                if (_held.TryRemove(arrival, out _))
                {
                    _bytes -= arrival.Bytes;
                }
            }

            _changed.TrySetResult();
            _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    /// <summary>How many messages may be asked for: at least as many as make a batch. A request for many costs as much as one for one.</summary>
    public async Task<int> RoomAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            Task changed;
            lock (_lock)
            {
                var average = Math.Max(1, _average);
                var room = (int)Math.Min(_most - _held.Count, (options.HeldBytes - _bytes) / average);
                var wanted = (int)Math.Clamp(Math.Min(options.BatchBytes, options.HeldBytes / 2) / average, 1, options.BatchSize);
                if (room >= wanted || _held.IsEmpty)
                {
                    return Math.Max(room, 1);
                }

                changed = _changed.Task;
            }

            await changed.WaitAsync(cancellationToken);
        }
    }

    /// <summary>Reports progress until the token says that nothing is held any more.</summary>
    public async Task ReportProgressAsync(CancellationToken finished)
    {
        using var timer = new PeriodicTimer(options.ProgressEvery / 4, time);
        try
        {
            while (await timer.WaitForNextTickAsync(finished))
            {
                foreach (var (arrival, _) in _held)
                {
                    if (time.GetElapsedTime(arrival.Reported) >= options.ProgressEvery)
                    {
                        arrival.Reported = time.GetTimestamp();
                        await ReportProgressAsync(arrival, finished);
                    }
                }
            }
        }
        catch (OperationCanceledException) when (finished.IsCancellationRequested)
        {
            // Nothing is held any more.
        }
    }

    private async Task ReportProgressAsync(Arrival arrival, CancellationToken cancellationToken)
    {
        try
        {
            await arrival.Message.AckProgressAsync(cancellationToken: cancellationToken);
        }
        catch (NatsException e)
        {
            LogNoProgress(logger, e.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "progress could not be reported: {Reason}")]
    private static partial void LogNoProgress(ILogger logger, string reason);
}
