using System.Buffers;
using Npgsql;
using Npgsql.Replication;
using Npgsql.Replication.Internal;
using Npgsql.Replication.PgOutput;
using NpgsqlTypes;
using RuleEngineNats.ChangeCapture.Outputs;

namespace RuleEngineNats.ChangeCapture.Replication;

/// <summary>One replication connection, from its start to its end: reads, hands on, and confirms what is stored.</summary>
internal sealed class CaptureSession : IAsyncDisposable
{
    private static readonly TimeSpan BeginTimeout = TimeSpan.FromSeconds(5);

    private readonly CaptureOptions _options;
    private readonly LogicalReplicationConnection _connection;
    private readonly CaptureSource _source;
    private readonly IWalSink _sink;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _abandoned = new();
    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(64 * 1024);
    private Task _waiting = Task.CompletedTask;
    private ulong _told;

    public CaptureSession(CaptureOptions options, CaptureSource source, LogicalReplicationConnection connection, IWalSink sink, TimeProvider time)
        => (_options, _source, _connection, _sink, _time) = (options, source, connection, sink, time);

    public static async Task<SourceIdentity> IdentifyAsync(LogicalReplicationConnection connection, CancellationToken cancellationToken)
    {
        var system = await connection.IdentifySystem(cancellationToken);
        return new(system.SystemId, system.Timeline);
    }

    /// <summary>Ends when it is stopped, with what is stored confirmed, or with an exception.</summary>
    /// <param name="over">Ends it: with an exception, or because it is not needed any more.</param>
    public async Task RunAsync(NpgsqlLogSequenceNumber? start, Task over, CancellationToken stopping)
    {
        using var ended = new CancellationTokenSource();
        var reading = ReadAsync(start, stopping, ended.Token);
        var confirming = ConfirmAsync(ended.Token);
        try
        {
            var first = await Task.WhenAny(reading, confirming, over);
            if (first == over)
            {
                // An event that waits for an output may wait for ever.
                await _abandoned.CancelAsync();
            }

            if (!stopping.IsCancellationRequested)
            {
                await first;
                return;
            }

            await reading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await DrainAsync();
        }
        finally
        {
            await BegunAsync(reading);
            await ended.CancelAsync();
            await Task.WhenAll(reading, confirming, _waiting).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _connection.DisposeAsync();
        ArrayPool<byte>.Shared.Return(_buffer);
        _abandoned.Dispose();
    }

    // PostgreSQL ignores a cancellation that comes before its command does, and the driver forgets it when the answer comes: it would read for ever. The
    // first thing that is received shows that the command is there; a server that sends nothing at all is not waited for.
    private async Task BegunAsync(Task reading)
    {
        var began = _time.GetTimestamp();
        while (!reading.IsCompleted && (ulong)_connection.LastReceivedLsn == 0 && _time.GetElapsedTime(began) < BeginTimeout)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(10), _time);
        }
    }

    private async Task ReadAsync(NpgsqlLogSequenceNumber? start, CancellationToken stopping, CancellationToken ended)
    {
        var stopped = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var writing = CancellationTokenSource.CreateLinkedTokenSource(stopping, _abandoned.Token);
        await using var registration = stopping.UnsafeRegister(static source => ((TaskCompletionSource)source!).TrySetResult(), stopped);
        var messages = _connection.StartLogicalReplication(new PgOutputReplicationSlot(_options.Slot), ended, start, PluginOptions()).GetAsyncEnumerator(ended);
        while (true)
        {
            var next = messages.MoveNextAsync();
            if (!(next.IsCompleted ? await next : await WaitAsync(next.AsTask(), stopped.Task, writing.Token)))
            {
                return;
            }

            var message = messages.Current;
            var length = checked((int)message.Data.Length);
            Grow(length);
            await message.Data.ReadExactlyAsync(_buffer.AsMemory(0, length), ended);
            await _sink.HandleAsync((ulong)message.WalStart, _buffer.AsMemory(0, length), writing.Token);
        }
    }

    // Nothing has come yet: what came before need not wait for it.
    private async Task<bool> WaitAsync(Task<bool> next, Task stopped, CancellationToken stopping)
    {
        _waiting = next;
        await _sink.FlushAsync(stopping);
        return await Task.WhenAny(next, stopped) == next
            && (await next ? true : throw new InvalidOperationException("the server ended the replication"));
    }

    // The driver puts values between quotes as they are.
    private IEnumerable<KeyValuePair<string, string?>> PluginOptions()
    {
        var publications = string.Join(',', _options.Publications.Select(name => $"\"{name.Replace("\"", "\"\"", StringComparison.Ordinal)}\""));
        yield return new("proto_version", "2");
        yield return new("publication_names", publications.Replace("'", "''", StringComparison.Ordinal));
        yield return new("streaming", "on");
        yield return new("messages", "on");
    }

    private void Grow(int length)
    {
        if (_buffer.Length < length)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = ArrayPool<byte>.Shared.Rent(length);
        }
    }

    private async Task ConfirmAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            await Task.Delay(_options.ConfirmInterval, _time, cancellationToken);
            await ConfirmNowAsync(cancellationToken);
        }
    }

    private async Task ConfirmNowAsync(CancellationToken cancellationToken)
    {
        var received = (ulong)_connection.LastReceivedLsn;
        var confirmed = await _sink.SyncAsync(received, cancellationToken);
        if (confirmed <= _told)
        {
            return;
        }

        _connection.SetReplicationStatus(new NpgsqlLogSequenceNumber(confirmed));
        try
        {
            await _connection.SendStatusUpdate(cancellationToken);
            _told = confirmed;
        }
        catch (InvalidOperationException)
        {
            // Not replicating yet, or no longer: the driver's timer sends it once it is.
        }
    }

    private async Task DrainAsync()
    {
        using var limit = new CancellationTokenSource(_options.ShutdownTimeout, _time);
        try
        {
            await _sink.DrainAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            // What is left comes again.
        }

        await ConfirmNowAsync(CancellationToken.None);
        await ArriveAsync(limit.Token);
    }

    // The driver ends the session with a cancel request, which overtakes what was sent before it.
    private async Task ArriveAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _source.ConfirmedAsync(_told, _time, cancellationToken);
        }
        catch (Exception exception) when (exception is OperationCanceledException or NpgsqlException)
        {
            // Then it comes again.
        }
    }
}
