using System.Collections.Concurrent;
using System.Globalization;
using System.Threading.Channels;
using NATS.Client.Core;

namespace RuleEngineNats.Messaging;

/// <summary>
/// All acknowledgements of one connection come to one subscription and are told apart by the last token of their subject. JetStream's own
/// publish calls make a subscription, a channel and a timer per publish; tests/Benchmarks compares the two.
/// </summary>
internal sealed class AckInbox : IAsyncDisposable
{
    private static readonly TimeSpan SweepInterval = TimeSpan.FromMilliseconds(50);

    private readonly INatsConnection _connection;
    private readonly TimeProvider _time;
    private readonly int _capacity;
    private readonly string _prefix;
    private readonly Lock _gate = new();
    private readonly Queue<TaskCompletionSource> _waiting = new();
    private readonly ConcurrentDictionary<long, PendingAck> _pending = new();
    private readonly ConcurrentQueue<PendingAck> _free = new();
    private readonly ITimer _sweeper;
    private INatsSub<PubAck>? _subscription;
    private Task _reading = Task.CompletedTask;
    private long _lastNumber;
    private int _inFlight;
    private int _places;

    public AckInbox(INatsConnection connection, TimeProvider time, int capacity)
    {
        _connection = connection;
        _time = time;
        _capacity = capacity;
        // Not NewInbox(): below the connection's own inbox the driver looks for exact subjects and never finds a wildcard.
        _prefix = $"{connection.Opts.InboxPrefix}.{Guid.NewGuid():N}.";
        _places = capacity;
        _sweeper = time.CreateTimer(static inbox => ((AckInbox)inbox!).Sweep(), this, SweepInterval, SweepInterval);
    }

    public int InFlight => Volatile.Read(ref _inFlight);

    public async Task SubscribeAsync(CancellationToken cancellationToken)
    {
        var options = new NatsSubOpts
        {
            // Never full: at most one answer per place. Waiting rather than dropping makes that not a matter of faith.
            ChannelOpts = new NatsSubChannelOpts { Capacity = _capacity + 1, FullMode = BoundedChannelFullMode.Wait },
        };
        _subscription = await _connection.SubscribeCoreAsync(_prefix + "*", serializer: new PubAckReader(), opts: options, cancellationToken: cancellationToken);
        _reading = ReadAsync(_subscription);
    }

    /// <summary>A place to await an acknowledgement at; give it back with <see cref="Return"/>. Who waits longest is served first.</summary>
    public ValueTask<PendingAck> RentAsync(TimeSpan timeout, CancellationToken cancellationToken)
    {
        TaskCompletionSource turn;
        lock (_gate)
        {
            if (_places > 0)
            {
                _places--;
                return ValueTask.FromResult(Take(timeout));
            }

            // Its continuation runs where the place is given back: by way of the thread pool, later ones would overtake.
            turn = new TaskCompletionSource();
            _waiting.Enqueue(turn);
        }

        return WaitForPlaceAsync(turn, timeout, cancellationToken);
    }

    /// <summary>Gives a place back.</summary>
    /// <param name="place">The place.</param>
    /// <param name="answered">False when an answer may still come: the place is not used again.</param>
    public void Return(PendingAck place, bool answered)
    {
        if (answered)
        {
            _free.Enqueue(place);
        }
        else
        {
            _pending.TryRemove(place.Number, out _);
        }

        Interlocked.Decrement(ref _inFlight);
        while (NextWaiting() is { } turn)
        {
            if (turn.TrySetResult())
            {
                return;
            }
        }
    }

    /// <summary>Ends every wait: the connection is gone and what was sent on it may or may not have arrived.</summary>
    public void FailAll()
    {
        foreach (var (_, place) in _pending)
        {
            place.TryComplete(PubAck.Of(AckKind.ConnectionLost));
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _sweeper.DisposeAsync();
        if (_subscription is not null)
        {
            await _subscription.DisposeAsync();
        }

        FailAll();
        await _reading;
    }

    private async ValueTask<PendingAck> WaitForPlaceAsync(TaskCompletionSource turn, TimeSpan timeout, CancellationToken cancellationToken)
    {
        await using (cancellationToken.UnsafeRegister(static (turn, token) => ((TaskCompletionSource)turn!).TrySetCanceled(token), turn))
        {
            await turn.Task;
        }

        return Take(timeout);
    }

    // The place is handed over; it is free only when nobody waits.
    private TaskCompletionSource? NextWaiting()
    {
        lock (_gate)
        {
            if (_waiting.TryDequeue(out var turn))
            {
                return turn;
            }

            _places++;
            return null;
        }
    }

    private PendingAck Take(TimeSpan timeout)
    {
        if (!_free.TryDequeue(out var place))
        {
            var number = Interlocked.Increment(ref _lastNumber);
            place = new PendingAck(number, _prefix + number.ToString(CultureInfo.InvariantCulture));
            _pending[number] = place;
        }

        Interlocked.Increment(ref _inFlight);
        place.Begin(_time.GetTimestamp() + (long)(timeout.TotalSeconds * _time.TimestampFrequency));
        return place;
    }

    private async Task ReadAsync(INatsSub<PubAck> subscription)
    {
        await foreach (var message in subscription.Msgs.ReadAllAsync(CancellationToken.None))
        {
            if (!long.TryParse(message.Subject.AsSpan(_prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
                || !_pending.TryGetValue(number, out var place))
            {
                continue;
            }

            place.TryComplete(message.HasNoResponders ? PubAck.Of(AckKind.NoResponders) : message.Error is null ? message.Data : PubAck.Of(AckKind.Malformed));
        }
    }

    private void Sweep()
    {
        if (InFlight == 0)
        {
            return;
        }

        var now = _time.GetTimestamp();
        foreach (var (_, place) in _pending)
        {
            // The use is read before the deadline: if the place is taken again in between, the use no longer fits.
            var use = place.Use;
            if (use != 0 && place.Deadline <= now)
            {
                place.TryComplete(use, PubAck.Of(AckKind.TimedOut));
            }
        }
    }
}
