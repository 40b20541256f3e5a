using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using RuleEngineNats.ChangeCapture.Events;
using RuleEngineNats.ChangeCapture.Formats;
using RuleEngineNats.ChangeCapture.Snapshots;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.ChangeCapture.Outputs;

/// <summary>
/// Publishes events to a stream, many at once and yet strictly in order: each names the id that must be the stream's last.
/// </summary>
/// <remarks>
/// 1. The writer sends; acknowledgements are taken in the order of sending.
/// 2. When one is missing or a refusal, none that was sent behind it can have been stored, for the stream's last id is not what they expect.
/// 3. Sending stops. The one that failed is sent again alone, with the same id, for as long as it takes; then those behind it, as at first.
/// 4. Sending goes on.
/// Another publisher in the same stream costs a round of 3 whenever it comes between two events: correct, but slower than a stream of one's own.
/// </remarks>
internal sealed partial class JetStreamOutput : ChangeOutput
{
    private readonly JetStreamConnection _server;
    private readonly CaptureOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly FlowWindow _window;
    private readonly FlowLog _flow;
    private readonly SemaphoreSlim _lane = new(1, 1);
    private readonly Channel<Sent> _sent = Channel.CreateUnbounded<Sent>(new() { SingleReader = true, SingleWriter = true });
    private readonly Queue<long> _unsettled = new();
    private readonly HashSet<string> _described = [];
    private readonly List<OutgoingEvent> _types = [];
    private readonly CancellationTokenSource _closing = new();
    private readonly TaskCompletionSource _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _pump = Task.CompletedTask;
    private EventPosition? _held;
    private string? _last;
    private ChainedPublish? _publish;
    private StoredSnapshots? _snapshots;

    public JetStreamOutput(JetStreamConnection server, CaptureOptions options, EventFormat format, TimeProvider time, ILogger<JetStreamOutput> logger)
    {
        (_server, _options, _time, _logger, Format) = (server, options, time, logger, format);
        _window = new(options.MaxInFlight, options.MaxInFlightBytes);
        _flow = new(server.Name, options, logger);
    }

    public override EventFormat Format { get; }

    public override Task Completion => _failed.Task;

    public override long FirstUnsettled
    {
        get
        {
            lock (_unsettled)
            {
                return _unsettled.TryPeek(out var first) ? first : long.MaxValue;
            }
        }
    }

    public override async Task OpenAsync(SourceIdentity source, CancellationToken cancellationToken)
    {
        _publish = new(_server, _options, source, _time);
        _snapshots = new(_server, _options, source, _time, _logger);
        _held = await _server.OpenAsync(source, cancellationToken);
        if (_held is { } held)
        {
            Continues(_options.NatsStream, held);
        }

        _pump = PumpAsync(_closing.Token);
    }

    public override async ValueTask WriteAsync(OutgoingEvent outgoing, CancellationToken cancellationToken)
    {
        if (_held >= outgoing.Position)
        {
            return;
        }

        switch (outgoing.Described)
        {
            case { } type when type.StartsWith(ChangeEvent.TypeKind, StringComparison.Ordinal):
                _types.Add(outgoing);
                return;
            case { } relation when relation.StartsWith(ChangeEvent.RelationKind, StringComparison.Ordinal):
                await DescribeAsync(outgoing, cancellationToken);
                return;
            default:
                await PublishAsync(outgoing, cancellationToken);
                return;
        }
    }

    public override bool RemembersSnapshots => true;

    public override Task<IReadOnlyList<SnapshotEvent>> FindSnapshotsAsync(CancellationToken cancellationToken) => _snapshots!.FindSnapshotsAsync(cancellationToken);

    public override Task<ReadPlace?> FindReadAsync(string snapshot, string schema, string table, CancellationToken cancellationToken)
        => _snapshots!.FindReadAsync(snapshot, schema, table, cancellationToken);

    public override ValueTask FlushAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    public override ValueTask SyncAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    public override async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync();
        await _pump;
        await _server.DisposeAsync();
        _lane.Dispose();
        _closing.Dispose();
    }

    // This process describes a table, and the types it needs, once; the stream may hold the same from an earlier one.
    private async ValueTask DescribeAsync(OutgoingEvent relation, CancellationToken cancellationToken)
    {
        var known = _described.Add(relation.Subject) ? await _server.FindLastBodyAsync(relation.Subject, cancellationToken) : null;
        if (known is null || !relation.Body.AsSpan().SequenceEqual(known))
        {
            foreach (var type in _types)
            {
                await PublishAsync(type, cancellationToken);
            }

            await PublishAsync(relation, cancellationToken);
        }

        _types.Clear();
    }

    private async ValueTask PublishAsync(OutgoingEvent outgoing, CancellationToken cancellationToken)
    {
        var size = outgoing.Body.Length;
        await _window.EnterAsync(size, cancellationToken);
        try
        {
            await _lane.WaitAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            _window.Leave(size);
            throw;
        }

        lock (_unsettled)
        {
            _unsettled.Enqueue(outgoing.Ordinal);
        }

        _sent.Writer.TryWrite(new(outgoing, await _publish!.SendAsync(outgoing, _last)));
        _last = outgoing.MessageId;
        _lane.Release();
    }

    private async Task PumpAsync(CancellationToken cancellationToken)
    {
        try
        {
            await SettleAllAsync(cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Closing.
        }
        catch (Exception exception)
        {
            // A defect: the capture ends with it rather than stands still.
            _failed.TrySetException(new CaptureException($"publishing to {_server.Name} failed: {exception.Message}", exception));
        }
    }

    private async Task SettleAllAsync(CancellationToken cancellationToken)
    {
        await foreach (var sent in _sent.Reader.ReadAllAsync(cancellationToken))
        {
            var attempt = await sent.Attempt.WaitAsync(cancellationToken);
            if (attempt.IsStored)
            {
                Settle(sent.Event);
            }
            else
            {
                await RecoverAsync(sent.Event, attempt, cancellationToken);
            }
        }
    }

    private void Settle(in OutgoingEvent outgoing)
    {
        lock (_unsettled)
        {
            _unsettled.Dequeue();
        }

        _window.Leave(outgoing.Body.Length);
    }

    private async Task RecoverAsync(OutgoingEvent first, PublishAttempt attempt, CancellationToken cancellationToken)
    {
        await _lane.WaitAsync(cancellationToken);
        if (!attempt.Interleaved)
        {
            _flow.Stopped(first, attempt.Outcome);
        }

        var again = new Queue<OutgoingEvent>([first]);
        while (_sent.Reader.TryRead(out var sent))
        {
            await sent.Attempt.WaitAsync(cancellationToken);
            again.Enqueue(sent.Event);
        }

        var stopped = !attempt.Interleaved;
        if (stopped)
        {
            await PauseAsync(attempt.Outcome, failures: 1, cancellationToken);
        }

        while (again.Count > 0)
        {
            stopped |= await SendAloneAsync(again, cancellationToken);
            await SendTogetherAsync(again, cancellationToken);
        }

        if (stopped)
        {
            _flow.GoesOn();
        }

        _lane.Release();
    }

    /// <summary>Nothing else of ours is on its way: whatever the stream's last message is, no other order is possible.</summary>
    /// <returns>Whether it was refused before.</returns>
    private async Task<bool> SendAloneAsync(Queue<OutgoingEvent> again, CancellationToken cancellationToken)
    {
        var outgoing = again.Peek();
        for (var failures = 1; ; failures++)
        {
            var attempt = await (await _publish!.SendAsync(outgoing, expectedLast: null)).WaitAsync(cancellationToken);
            if (attempt.IsStored)
            {
                Settle(again.Dequeue());
                _last = outgoing.MessageId;
                return failures > 1;
            }

            _flow.Stopped(outgoing, attempt.Outcome);
            await PauseAsync(attempt.Outcome, failures, cancellationToken);
        }
    }

    /// <summary>Those behind it, as if they were sent for the first time. Ends with the first that fails at the head.</summary>
    private async Task SendTogetherAsync(Queue<OutgoingEvent> again, CancellationToken cancellationToken)
    {
        var attempts = new List<Task<PublishAttempt>>(again.Count);
        foreach (var outgoing in again)
        {
            attempts.Add(await _publish!.SendAsync(outgoing, _last));
            _last = outgoing.MessageId;
        }

        var inOrder = true;
        foreach (var attempt in attempts)
        {
            inOrder &= (await attempt.WaitAsync(cancellationToken)).IsStored;
            if (inOrder)
            {
                Settle(again.Dequeue());
            }
        }
    }

    private async Task PauseAsync(PublishOutcome outcome, int failures, CancellationToken cancellationToken)
    {
        await Task.Delay(_options.PauseAfter(failures), _time, cancellationToken);
        if (outcome is PublishOutcome.Unavailable { Reason: UnavailableReason.NoStream })
        {
            try
            {
                await _server.EnsureStreamAsync(cancellationToken);
            }
            catch (Exception) when (!cancellationToken.IsCancellationRequested)
            {
                // Said with the next refusal.
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "stream {Stream} holds this slot's events up to {Position}: going on behind it")]
    private partial void Continues(string stream, EventPosition position);

    private readonly record struct Sent(OutgoingEvent Event, Task<PublishAttempt> Attempt);
}
