using Microsoft.Extensions.Options;

namespace RuleEngineNats.IngestionApi.Streams;

/// <summary>
/// Looks at the stream each second: how full it is, and how fast workers make room. New documents are refused a little before the stream is full, so that those that are on their way still fit,
/// and clients are told when there will be room.
/// </summary>
internal sealed partial class StreamHeadroom(LookAtStream look, IOptions<IngestionOptions> options, TimeProvider time, ILogger<StreamHeadroom> logger) : BackgroundService
{
    private const int LongestRetryAfter = 60;
    private const int Rounds = 8;
    private const int HeaderBytes = 17 * 1024;

    // To come back to a stream that is full again at once would be of no use.
    private const double Relief = 0.05;

    private static readonly TimeSpan Every = TimeSpan.FromSeconds(1);

    private volatile bool _isFull;
    private volatile int _maxEnvelopeBytes = IngestionOptions.MaxEnvelopeBytes;
    private volatile int _retryAfter = LongestRetryAfter;
    private double _freedPerSecond;
    private StreamLook? _last;
    private long _lastAt;

    /// <summary>Whether new documents are refused for want of room.</summary>
    public bool IsFull => _isFull;

    /// <summary>In how many seconds there will be room, at the rate at which workers get on: 1 to 60.</summary>
    public int RetryAfterSeconds => _retryAfter;

    /// <summary>Most bytes of an envelope: what the stream takes or, where that is less, nats-server.</summary>
    public int MaxEnvelopeBytes => _maxEnvelopeBytes;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Every, time);
        try
        {
            do
            {
                // Without an answer nothing is known to be full: what is published finds out.
                var seen = await look.LookAsync(stoppingToken);
                Note(seen);
                _maxEnvelopeBytes = Math.Min(IngestionOptions.MaxEnvelopeBytes, (look.MaxPayload ?? int.MaxValue) - HeaderBytes);
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The service stops.
        }
    }

    /// <summary>Seconds until a stream has room again.</summary>
    /// <param name="seen">What it looks like.</param>
    /// <param name="minFreeShare">Share of its bytes that must be free.</param>
    /// <param name="freedPerSecond">Bytes of documents that workers get through in a second.</param>
    public static int RetryAfter(StreamLook seen, double minFreeShare, double freedPerSecond)
    {
        var wanted = seen.Bytes - (seen.MaxBytes * (1 - minFreeShare - Relief));
        return freedPerSecond <= 0 ? LongestRetryAfter : (int)Math.Clamp(Math.Ceiling(wanted / freedPerSecond), 1, LongestRetryAfter);
    }

    private void Note(StreamLook? seen)
    {
        if (seen is null)
        {
            _isFull = false;
            return;
        }

        var now = time.GetTimestamp();
        if (_last is { } last && seen.Messages > 0)
        {
            var freed = seen.AckFloor > last.AckFloor ? (seen.AckFloor - last.AckFloor) * ((double)seen.Bytes / seen.Messages) : 0;
            var rate = freed / time.GetElapsedTime(_lastAt, now).TotalSeconds;
            // A worker acknowledges in portions.
            _freedPerSecond += (rate - _freedPerSecond) / Rounds;
        }

        _last = seen;
        _lastAt = now;
        _retryAfter = RetryAfter(seen, options.Value.MinFreeShare, _freedPerSecond);
        var isFull = seen.MaxBytes > 0 && seen.Bytes >= seen.MaxBytes * (1 - options.Value.MinFreeShare);
        if (isFull != _isFull)
        {
            LogFull(isFull ? "refused" : "taken again", seen.Bytes, seen.MaxBytes, seen.Pending);
        }

        _isFull = isFull;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "documents are {Decision}: the stream has {Bytes} of {MaxBytes} bytes, and {Pending} documents wait")]
    private partial void LogFull(string decision, long bytes, long maxBytes, long pending);
}
