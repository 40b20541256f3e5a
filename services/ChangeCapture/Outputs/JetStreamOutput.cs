using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using RuleEngineNats.ChangeCapture.Events;
using RuleEngineNats.ChangeCapture.Formats;
using RuleEngineNats.ChangeCapture.Snapshots;

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
    // A stream's name of up to 255 bytes, two ids, the source, and names.
    private const int MostHeaderBytes = 1024;

    private readonly JetStreamConnection _server;
    private readonly CaptureOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly DeadLetters? _deadLetters;
    private readonly FlowWindow _window;
    private readonly FlowLog _flow;
    private readonly SemaphoreSlim _lane = new(1, 1);
    private readonly Channel<Sent> _sent = Channel.CreateUnbounded<Sent>(new() { SingleReader = true, SingleWriter = true });
    private readonly Queue<long> _unsettled = new();
    private readonly CancellationTokenSource _closing = new();
    private readonly TaskCompletionSource _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _pump = Task.CompletedTask;
    private SourceIdentity? _source;
    private HeldEvent? _held;
    private string? _heldDescription;
    private string? _last;
    private ChainedPublish? _publish;
    private StoredSnapshots? _snapshots;

    public JetStreamOutput(JetStreamConnection server, CaptureOptions options, EventFormat format, DeadLetters? deadLetters, CaptureStatus status, TimeProvider time, ILogger<JetStreamOutput> logger)
    {
        (_server, _options, _deadLetters, _time, _logger, Format) = (server, options, deadLetters, time, logger, format);
        _window = new(options.MaxInFlight, options.MaxInFlightBytes);
        _flow = new(server.Name, options, status, logger);
    }

    public override EventFormat Format { get; }

    public override HeldEvent? Held => _held;

    public override Task Completion => _failed.Task;

    public override int LargestBody => Math.Max(_server.Limit - MostHeaderBytes, MostHeaderBytes);

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
        _source = source;
        _publish = new(_server, _options, source, Format.ContentType, _time);
        _snapshots = new(_server, _options, source, _time, _logger);
        _held = await _server.OpenAsync(source, cancellationToken);
        if (_held is { } held)
        {
            _heldDescription = held.Position.MessageId(_options.Slot, described: null) == held.Id ? null : held.Id;
            Continues(_options.NatsStream, held.Position);
        }

        _pump = PumpAsync(_closing.Token);
    }

    public override ValueTask WriteAsync(OutgoingEvent outgoing, CancellationToken cancellationToken)
        => _held?.Position >= outgoing.Position || IsHeldDescription(outgoing) ? ValueTask.CompletedTask : PublishAsync(outgoing, cancellationToken);

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

    // What the stream ends with may be one of several descriptions before a row: those up to it are there as well.
    private bool IsHeldDescription(in OutgoingEvent outgoing)
    {
        if (_heldDescription is null || outgoing.Described is null || outgoing.Position != _held!.Position.Next)
        {
            return false;
        }

        if (outgoing.MessageId == _heldDescription)
        {
            _heldDescription = null;
        }

        return true;
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

    [LoggerMessage(Level = LogLevel.Information, Message = "stream {Stream} holds this slot's events up to {Position}: going on behind it")]
    private partial void Continues(string stream, EventPosition position);

    private readonly record struct Sent(OutgoingEvent Event, Task<PublishAttempt> Attempt);
}
