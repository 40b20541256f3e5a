using Microsoft.Extensions.Options;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using Npgsql;
using RuleEngineNats.Consumers;
using RuleEngineNats.Contracts;
using RuleEngineNats.DeliveryWorker.Delivery;
using RuleEngineNats.DeliveryWorker.Routing;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.DeliveryWorker.Replays;

/// <summary>
/// Carries out one replay from where it stands.
/// <code>
/// 1 begin   fix the first and the last sequence; what is stored later is delivered as usual
/// 2 read    a batch of the stream, in order
/// 3 wait    until the worker's own consumer is done with it: an event on its first way is not to be sent a second time
/// 4 select  by the webhook's filter as it is now, and by recorded outcomes
/// 5 open    calls, counters and the next sequence in one transaction: a crash before it does nothing, one after it repeats nothing
/// 6 pause   by the rate, and while too many of the replay's calls are still due
/// </code>
/// </summary>
internal sealed class RunReplay(
    ReplayRows rows, SelectEvents select, Routes routes, ConfigWatcher configuration, NatsConnections connections, IOptions<ReplayOptions> options, TimeProvider time)
{
    // A limited replay moves in steps of a quarter of a second.
    private const double StepsPerSecond = 4;

    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(250);

    /// <summary>Reads the replay's streams to their ends.</summary>
    /// <returns>Null when it is done, else why it cannot be.</returns>
    /// <exception cref="OperationCanceledException">The worker stops or the lease is lost.</exception>
    public async Task<string?> RunAsync(Replay replay, ReplayLease lease)
    {
        while (true)
        {
            if (await ReadAsync(replay, lease) is { } problem)
            {
                return problem;
            }

            var (held, next) = await rows.NextStreamAsync(replay, lease.Token);
            if (held && next is null)
            {
                return null;
            }

            lease.Record(new(held, lease.Due));
            lease.Token.ThrowIfCancellationRequested();
            replay = next!;
        }
    }

    private async Task<string?> ReadAsync(Replay replay, ReplayLease lease)
    {
        var pool = connections.Get(replay.Config);
        using var use = pool.Begin();
        await InTimeAsync(async cancellationToken =>
        {
            await pool.WaitUntilHealthyAsync(cancellationToken);
            return true;
        }, lease.Token);
        var context = new NatsJSContext(pool.Next());
        var (endpoint, problem) = await FindAsync(replay.WebhookId, lease.Token);
        if (endpoint is null)
        {
            return problem;
        }

        INatsJSStream stream;
        try
        {
            stream = await InTimeAsync(async cancellationToken => await context.GetStreamAsync(replay.Stream, cancellationToken: cancellationToken), lease.Token);
        }
        catch (NatsJSApiException e) when (e.Error.Code == 404)
        {
            return $"stream {replay.Stream} of configuration {replay.Config} does not exist";
        }

        if (stream.Info.Config.Retention is not StreamConfigRetention.Limits)
        {
            return $"stream {replay.Stream} keeps no events that were consumed";
        }

        replay = replay.Next is null ? await InTimeAsync(cancellationToken => BeginAsync(replay, stream, cancellationToken), lease.Token) : replay;
        await using var source = new ReadStream(stream, endpoint.Filter!, options.Value, time);
        return await ReadAsync(replay, context, source, lease);
    }

    private async Task<Replay> BeginAsync(Replay replay, INatsJSStream stream, CancellationToken cancellationToken)
    {
        // By the server's own clock and precision: the time that comes with a message is in milliseconds.
        var state = stream.Info.State;
        var from = replay.FromTime is { } first ? await ReadStream.FindAsync(stream, first, cancellationToken) : replay.FromSequence ?? 1;
        var end = replay.ToTime is { } until ? await ReadStream.FindAsync(stream, until, cancellationToken) - 1 : replay.ToSequence ?? state.LastSeq;
        return await rows.BeginAsync(replay, Math.Max(from, Math.Max(1, state.FirstSeq)), Math.Min(end, state.LastSeq), cancellationToken);
    }

    private async Task<string?> ReadAsync(Replay replay, NatsJSContext context, ReadStream source, ReplayLease lease)
    {
        var most = replay is { Rate: { } rate, DryRun: false } ? (int)Math.Clamp(rate / StepsPerSecond, 1, options.Value.Batch) : options.Value.Batch;
        for (var next = replay.Next!.Value; next <= replay.End;)
        {
            var messages = await InTimeAsync(cancellationToken => source.ReadAsync(next, replay.End, most, cancellationToken), lease.Token);
            if (messages.Count == 0)
            {
                break;
            }

            await FirstDeliveredAsync(context, replay.Stream, messages[^1].Metadata!.Value.Sequence.Stream, lease.Token);
            var (endpoint, problem) = await FindAsync(replay.WebhookId, lease.Token);
            if (endpoint is null)
            {
                return problem;
            }

            foreach (var part in InParts(messages))
            {
                next = part[^1].Metadata!.Value.Sequence.Stream + 1;
                var selected = await select.RunAsync(replay, endpoint, part, lease.Token);
                var began = time.GetTimestamp();
                lease.Record(await OpenAsync(replay, next, part.Count, selected, lease.Token));
                lease.Token.ThrowIfCancellationRequested();
                await PauseAsync(replay, selected.Count, began, lease);
            }
        }

        return null;
    }

    // The bodies that lie in the Object Store count as well: a message that refers to one is small.
    private IEnumerable<IReadOnlyList<INatsJSMsg<byte[]>>> InParts(IReadOnlyList<INatsJSMsg<byte[]>> messages)
    {
        var part = new List<INatsJSMsg<byte[]>>(messages.Count);
        var bytes = 0L;
        foreach (var message in messages)
        {
            var size = message.Size + (EventBodies.ObjectOf(message.Headers)?.Size ?? 0);
            if (part.Count > 0 && bytes + size > options.Value.ReadAheadBytes)
            {
                yield return part;
                (part, bytes) = ([], 0);
            }

            part.Add(message);
            bytes += size;
        }

        yield return part;
    }

    // A server that is away may come back; whoever looks at the replay is told meanwhile.
    private async Task<T> InTimeAsync<T>(Func<CancellationToken, Task<T>> work, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(options.Value.ServerTimeout);
        try
        {
            return await work(limit.Token);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException($"nats-server did not answer within {options.Value.ServerTimeout.TotalSeconds} s");
        }
    }

    // What PostgreSQL will not take of an event is what it keeps of it for people.
    private async Task<ReplayStep> OpenAsync(Replay replay, ulong next, int scanned, IReadOnlyList<OutgoingEvent> selected, CancellationToken cancellationToken)
    {
        try
        {
            return await rows.OpenAsync(replay, next, scanned, selected, plain: false, cancellationToken);
        }
        catch (PostgresException e) when (e.SqlState.StartsWith("22", StringComparison.Ordinal))
        {
            return await rows.OpenAsync(replay, next, scanned, selected, plain: true, cancellationToken);
        }
    }

    private async Task PauseAsync(Replay replay, int sent, long began, ReplayLease lease)
    {
        if (replay is { Rate: { } rate, DryRun: false } && TimeSpan.FromSeconds(sent / rate) - time.GetElapsedTime(began) is var pause && pause > TimeSpan.Zero)
        {
            await Task.Delay(pause, time, lease.Token);
        }

        while (lease.Due > options.Value.MaxDue)
        {
            await Task.Delay(LookEvery, time, lease.Token);
        }
    }

    private async Task FirstDeliveredAsync(NatsJSContext context, string stream, ulong sequence, CancellationToken cancellationToken)
    {
        while (await InTimeAsync(limit => SharedConsumer.GetAsync(context, stream, ConsumerNames.DeliveryWorker, limit), cancellationToken) is { Info: { } info }
            && info.AckFloor.StreamSeq < sequence && info is not { NumPending: 0, NumAckPending: 0 })
        {
            await Task.Delay(LookEvery, time, cancellationToken);
        }
    }

    // One that is off takes replayed events as it takes others of the queue: when it is on again.
    private async Task<(Endpoint? Endpoint, string? Problem)> FindAsync(int webhookId, CancellationToken cancellationToken)
    {
        var endpoint = Find();
        if (endpoint?.Filter is null)
        {
            await configuration.RefreshSharedAsync(cancellationToken);
            endpoint = Find();
        }

        return endpoint is null ? (null, "the webhook was deleted")
            : endpoint.Filter is null ? (null, "the webhook takes no events from streams any more")
            : (endpoint, null);

        Endpoint? Find() => routes.Current.Find(webhookId) ?? routes.Off.Find(webhookId);
    }
}
