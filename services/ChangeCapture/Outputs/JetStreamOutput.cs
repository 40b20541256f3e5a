using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using NATS.Client.Core;
using RuleEngineNats.ChangeCapture.Events;
using RuleEngineNats.ChangeCapture.Formats;
using RuleEngineNats.Contracts;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.ChangeCapture.Outputs;

/// <summary>
/// Publishes events to a stream, many at once and yet strictly in order: each names the id that must be the stream's last.
/// </summary>
/// <remarks>
/// 1. The writer sends; acknowledgements are taken in the order of sending.
/// 2. When one is missing or a refusal, none that was sent behind it can have been stored, for the stream's last id is not what they expect.
/// 3. Sending stops. What was on its way is sent again one by one, with the same ids, for as long as it takes.
/// 4. Sending goes on.
/// Another publisher in the same stream costs a round of 3 whenever it comes between two events: correct, but slower than a stream of one's own.
/// </remarks>
internal sealed partial class JetStreamOutput : ChangeOutput
{
    private const int WrongLastMessageId = 10070;

    private static readonly TimeSpan AckTimeout = TimeSpan.FromSeconds(2.5);

    private readonly JetStreamConnection _server;
    private readonly CaptureOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly FlowWindow _window;
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
    private string _source = "";

    public JetStreamOutput(JetStreamConnection server, CaptureOptions options, EventFormat format, TimeProvider time, ILogger<JetStreamOutput> logger)
    {
        (_server, _options, _time, _logger, Format) = (server, options, time, logger, format);
        _window = new(options.MaxInFlight, options.MaxInFlightBytes);
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
        _source = source.ToString();
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

        _sent.Writer.TryWrite(new(outgoing, await SendAsync(outgoing, _last)));
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

    private async Task RecoverAsync(OutgoingEvent first, Attempt attempt, CancellationToken cancellationToken)
    {
        await _lane.WaitAsync(cancellationToken);
        var stopped = !attempt.Interleaved;
        if (stopped)
        {
            Report(first, attempt.Outcome);
        }

        var again = new List<OutgoingEvent> { first };
        while (_sent.Reader.TryRead(out var sent))
        {
            await sent.Attempt.WaitAsync(cancellationToken);
            again.Add(sent.Event);
        }

        if (stopped)
        {
            await PauseAsync(attempt.Outcome, failures: 1, cancellationToken);
        }

        foreach (var outgoing in again)
        {
            for (var failures = 2; ; failures++)
            {
                // Nothing else is on its way: no other order is possible.
                attempt = await (await SendAsync(outgoing, expectedLast: null)).WaitAsync(cancellationToken);
                if (attempt.IsStored)
                {
                    Settle(outgoing);
                    break;
                }

                stopped = true;
                Report(outgoing, attempt.Outcome);
                await PauseAsync(attempt.Outcome, failures, cancellationToken);
            }
        }

        if (stopped)
        {
            GoesOn(_options.NatsStream, _server.Name);
        }

        _last = again[^1].MessageId;
        _lane.Release();
    }

    private void Report(in OutgoingEvent outgoing, PublishOutcome outcome)
    {
        var (reason, message) = outcome switch
        {
            PublishOutcome.Unavailable unavailable => (unavailable.Reason.ToString(), unavailable.Message),
            PublishOutcome.Refused refused => (refused.Reason.ToString(), refused.Message),
            _ => ("", ""),
        };
        Stopped(_options.NatsStream, _server.Name, reason, message, outgoing.Subject, outgoing.MessageId, outgoing.Body.Length, Advice(outcome));
    }

    private async Task PauseAsync(PublishOutcome outcome, int failures, CancellationToken cancellationToken)
    {
        await Task.Delay(RetryPause.After(failures, _options, Random.Shared.NextDouble()), _time, cancellationToken);
        if (outcome is PublishOutcome.Unavailable { Reason: UnavailableReason.NoStream })
        {
            try
            {
                await _server.EnsureStreamAsync(cancellationToken);
            }
            catch (Exception exception) when (!cancellationToken.IsCancellationRequested && exception is NatsException or TimeoutException or OperationCanceledException)
            {
                // Said with the next refusal.
            }
        }
    }

    private string Advice(PublishOutcome outcome) => outcome switch
    {
        PublishOutcome.Unavailable { Reason: UnavailableReason.StreamFull } => "make room (max_bytes, max_msgs, the server's storage) or purge what is consumed",
        PublishOutcome.Unavailable { Reason: UnavailableReason.NoStream } or PublishOutcome.Refused { Reason: RefusalReason.WrongStream }
            => $"let stream {_options.NatsStream} take {_options.SubjectPrefix}.>",
        PublishOutcome.Refused { Reason: RefusalReason.TooLarge } => "raise the server's max_payload or the stream's max_msg_size, or leave large columns out",
        PublishOutcome.Unavailable => "nothing to do while nats-server is away",
        _ => "see what nats-server says",
    };

    /// <summary>Returns when it is on its way; the task it returns is what became of it.</summary>
    private async ValueTask<Task<Attempt>> SendAsync(OutgoingEvent outgoing, string? expectedLast)
    {
        var headers = new NatsHeaders(4)
        {
            [EventHeaders.MessageId] = outgoing.MessageId,
            [EventHeaders.ExpectedStream] = _options.NatsStream,
            [EventHeaders.CaptureSource] = _source,
        };
        if (expectedLast is not null)
        {
            headers[EventHeaders.ExpectedLastMessageId] = expectedLast;
        }

        var place = await _server.Acks.RentAsync(AckTimeout, CancellationToken.None);
        try
        {
            var sending = _server.Connection.PublishAsync(
                outgoing.Subject, outgoing.Body, headers, place.ReplySubject, NatsRawSerializer<byte[]>.Default, cancellationToken: CancellationToken.None);
            if (!sending.IsCompletedSuccessfully)
            {
                await sending.AsTask().WaitAsync(AckTimeout, _time);
            }

            return AwaitAsync(place);
        }
        catch (NatsPayloadTooLargeException exception)
        {
            _server.Acks.Return(place, answered: false);
            return Task.FromResult(new Attempt(new PublishOutcome.Refused(RefusalReason.TooLarge, exception.Message), Interleaved: false));
        }
        catch (Exception exception) when (exception is NatsException or TimeoutException or OperationCanceledException or IOException or ObjectDisposedException)
        {
            _server.Acks.Return(place, answered: false);
            return Task.FromResult(new Attempt(PublishDecision.Disconnected(unanswered: false), Interleaved: false));
        }
    }

    private async Task<Attempt> AwaitAsync(PendingAck place)
    {
        var ack = await place.WaitAsync();
        _server.Acks.Return(place, answered: ack.Kind is AckKind.Answered or AckKind.NoResponders or AckKind.Malformed);
        return new(PublishDecision.Of(ack, attempt: 1, unanswered: false).Outcome, ack.ErrorCode == WrongLastMessageId);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "stream {Stream} holds this slot's events up to {Position}: going on behind it")]
    private partial void Continues(string stream, EventPosition position);

    [LoggerMessage(Level = LogLevel.Error, Message = "the flow to stream {Stream} on {Server} has stopped, nothing is lost: {Reason}: {Message}; event {MessageId} on {Subject}, {Bytes} bytes; {Advice}")]
    private partial void Stopped(string stream, string server, string reason, string message, string subject, string messageId, int bytes, string advice);

    [LoggerMessage(Level = LogLevel.Information, Message = "the flow to stream {Stream} on {Server} goes on")]
    private partial void GoesOn(string stream, string server);

    private readonly record struct Sent(OutgoingEvent Event, Task<Attempt> Attempt);

    /// <param name="Interleaved">Another message came in between, ours or another publisher's.</param>
    private readonly record struct Attempt(PublishOutcome Outcome, bool Interleaved)
    {
        public bool IsStored => Outcome is PublishOutcome.Stored or PublishOutcome.Duplicate;
    }
}
