using Microsoft.Extensions.Options;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using RuleEngineNats.CdcRelay.Outbox;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.CdcRelay.Reconciliation;

/// <summary>
/// An acknowledgement of nats-server is not durable: a power cut takes what it had not synced, and sequences are used again. The relay's leader
/// therefore looks at every stream when it meets a server it does not know (each start of one has a new id), every 30 seconds, and when asked.
/// <code>
/// 1 look      STREAM.INFO        same server, same stream, last_seq not gone back: nothing more to do
/// 2 tail      one message        the last stored row is at its place: nothing after it is lost, publishing goes on, and 3 follows
/// 3 compare   headers only       ids of the rows since the last verified moment, less the horizon, with those of the stream
/// 4 restart   one row            sequences are used again: the worker is to make its consumer anew (decision 0004)
/// 5 restore   publish, mark      what is lost, with its id
/// </code>
/// Until a server has been looked at, the relay's lane does not publish to it (<see cref="PublishAdmission"/>).
/// </summary>
internal sealed partial class Reconciler(
    ConfigWatcher config, NatsConnections connections, PublishAdmission admission, CompareStream compare, RestoreRows restore, ReconcileTables tables,
    RelayMetrics metrics, IOptions<ReconcilerOptions> options, TimeProvider time, ILogger<Reconciler> logger)
{
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan AfterFailure = TimeSpan.FromSeconds(1);
    // After so many failures in a row a stream holds publishing up no longer: the comparison that comes later is by ids and finds all the same.
    private const int Patience = 5;

    private static readonly TimeSpan RequestPoll = TimeSpan.FromMilliseconds(800);

    private readonly Dictionary<StreamName, Watched> _watched = [];
    private Dictionary<StreamName, VerifiedStream> _loaded = [];

    private enum Look
    {
        /// <summary>Nothing has changed, or the stream does not exist.</summary>
        Unchanged,

        /// <summary>Something has changed; the tail is there.</summary>
        Unproven,

        /// <summary>Something is missing, or may well be.</summary>
        Suspect,
    }

    /// <summary>Ends by an exception of PostgreSQL, or by the token.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        _loaded = await tables.LoadAsync(cancellationToken);
        var (maintainAt, requestsAt) = (DateTimeOffset.MinValue, DateTimeOffset.MinValue);
        while (true)
        {
            foreach (var nats in config.Current.Configs.Where(nats => nats is { Enabled: true, JetStreamEnabled: true }))
            {
                await FollowAsync(nats, cancellationToken);
            }

            var now = time.GetUtcNow();
            if (now >= requestsAt)
            {
                requestsAt = now + RequestPoll;
                if (await tables.NextRequestAsync(cancellationToken) is { } request)
                {
                    await ServeAsync(request, cancellationToken);
                }
            }

            if (now >= maintainAt)
            {
                maintainAt = now + options.Value.Interval;
                await tables.MaintainAsync(cancellationToken);
            }

            await Task.Delay(Tick, time, cancellationToken);
        }
    }

    private async Task FollowAsync(NatsConfig nats, CancellationToken cancellationToken)
    {
        var pool = connections.Get(nats.Name);
        var servers = pool.ServerIds;
        var admitted = servers.All(server => admission.Admits(pool, server));
        var due = servers.Count == 0 ? [] : StreamsOf(nats).Where(stream => stream.DueAt <= time.GetUtcNow() || (!admitted && stream.Failures == 0)).ToList();
        var unproven = new List<Watched>();
        foreach (var stream in due)
        {
            await TryAsync(stream, async context =>
            {
                switch (await LookAsync(context, stream, servers, cancellationToken))
                {
                    case Look.Suspect:
                        await CompareAsync(context, stream, servers, stream.Reason, horizon: null, cancellationToken);
                        break;
                    case Look.Unproven:
                        unproven.Add(stream);
                        break;
                }
            }, cancellationToken);
        }

        if (!admitted && StreamsOf(nats).All(stream => stream.Failures is 0 or >= Patience))
        {
            admission.Admit(pool, servers);
            Admitted(nats.Name, servers.Count);
        }

        foreach (var stream in unproven)
        {
            await TryAsync(
                stream, async context => await CompareAsync(context, stream, servers, stream.Reason, horizon: null, cancellationToken), cancellationToken);
        }
    }

    private List<Watched> StreamsOf(NatsConfig nats) => [.. config.Current.Streams
        .Where(stream => stream.Enabled && stream.ConfigId == nats.Id).Select(stream => stream.Name).Append(nats.StreamName).Distinct()
        .Select(stream => new StreamName(nats.Name, stream))
        .Select(name => _watched.TryGetValue(name, out var watched) ? watched : _watched[name] = new(name) { Verified = _loaded.GetValueOrDefault(name) })];

    private async Task<bool> TryAsync(Watched stream, Func<INatsJSContext, Task> work, CancellationToken cancellationToken)
    {
        stream.DueAt = time.GetUtcNow() + options.Value.Interval;
        try
        {
            await work(new NatsJSContext(connections.Get(stream.Name.Config).Next()));
            stream.Failures = 0;
            return true;
        }
        catch (Exception e) when (e is NatsException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            stream.Failures++;
            stream.DueAt = time.GetUtcNow() + AfterFailure;
            NotCompared(stream.Name.Stream, stream.Name.Config, e.Message);
            return false;
        }
    }

    private async Task<Look> LookAsync(INatsJSContext context, Watched stream, IReadOnlyList<string> servers, CancellationToken cancellationToken)
    {
        var now = await tables.NowAsync(cancellationToken);
        if (await GetAsync(context, stream.Name, cancellationToken) is not { Info: var info } found)
        {
            // Whoever owns it makes it again; then it is another one, and what it had is published into it.
            stream.DueAt = time.GetUtcNow() + AfterFailure;
            stream.Reason = "regress";
            return Look.Unchanged;
        }

        var known = stream.Verified;
        if (known is not null && (known.Created != Created(info) || info.State.LastSeq < known.LastSequence))
        {
            stream.Reason = "regress";
            return Look.Suspect;
        }

        if (known is not null && servers.All(known.ServerIds.Contains))
        {
            stream.Reason = "interval";
            if (stream.Incomplete || now < stream.RecheckUntil)
            {
                return Look.Unproven;
            }

            await VerifiedAsync(stream, known, info, servers, now, cancellationToken);
            await tables.RecordAsync(stream.Name, stream.Reason, now, default, cancellationToken);
            return Look.Unchanged;
        }

        stream.Reason = known is null ? "reconnect" : "server_changed";
        return await compare.TailIsIntactAsync(found, stream.Name, Since(stream, now), cancellationToken) ? Look.Unproven : Look.Suspect;
    }

    private async Task<RunCounts> CompareAsync(
        INatsJSContext context, Watched stream, IReadOnlyList<string> servers, string reason, TimeSpan? horizon, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        var now = await tables.NowAsync(cancellationToken);
        var since = horizon is { } asked ? now - asked : Since(stream, now);
        var comparison = await compare.RunAsync(
            stream.Name,
            since,
            async () => await GetAsync(context, stream.Name, cancellationToken) ?? throw new NatsJSException($"stream {stream.Name.Stream} does not exist"),
            cancellationToken);
        var info = comparison.Stream.Info;
        if (comparison.Missing.Count > 0)
        {
            // What has left from the front since then was removed, not lost.
            await comparison.Stream.RefreshAsync(cancellationToken);
        }

        var facts = Facts(info, comparison.Stream.Info.State.FirstSeq, stream.Verified);
        var fates = comparison.Missing
            .Select(row => (Row: row, Fate: MessageFates.Of(row, comparison.FoundAt.TryGetValue(row.Id, out var at) ? at : null, facts, now))).ToList();
        var known = stream.Verified?.Created == facts.Created ? stream.Verified : null;
        if (MessageFates.ReusedFrom(fates, facts.LastSequence, known?.LastSequence) is { } from)
        {
            // Committed before anything goes to these sequences: whatever happens now, the worker will come back for it.
            await tables.RestartConsumerAsync(stream.Name, from, cancellationToken);
            SequencesReused(stream.Name.Stream, stream.Name.Config, from);
        }

        var moved = fates.Where(fate => fate.Fate is MessageFate.Moved).Select(fate => (fate.Row.PublishId, stream.Name.Stream, comparison.FoundAt[fate.Row.Id])).ToList();
        await restore.MarkAsync(moved, cancellationToken);
        var lost = fates.Where(fate => fate.Fate is MessageFate.LostAlone or MessageFate.LostWithTail or MessageFate.LostWithStream).Select(fate => fate.Row).ToList();
        if (lost.Count > 0)
        {
            Lost(stream.Name.Stream, stream.Name.Config, lost.Count, comparison.Rows, fates.First(fate => fate.Row == lost[0]).Fate);
        }

        var restored = await restore.PublishAsync(stream.Name, lost, facts.LastSequence, cancellationToken);
        stream.Incomplete = restored.Unavailable > 0;
        if (reason is "server_changed" or "regress" || stream.Incomplete)
        {
            stream.RecheckSince = since;
            stream.RecheckUntil = now + options.Value.Settle;
        }

        if (!stream.Incomplete)
        {
            await VerifiedAsync(stream, stream.Verified, info, servers, now, cancellationToken);
        }

        var run = new RunCounts(
            comparison.Rows, lost.Count, restored.Republished, restored.Duplicates + moved.Count, restored.Refused + restored.Unavailable, restored.Error);
        metrics.Reconciled(run);
        var duration = time.GetElapsedTime(began);
        Compared(stream.Name.Stream, stream.Name.Config, reason, run.Checked, run.Missing, run.Republished, run.Duplicates, run.Unrecoverable, run.Error, duration);
        if (reason != "requested")
        {
            await tables.RecordAsync(stream.Name, reason, now, run, cancellationToken);
        }

        return run;
    }

    private async Task ServeAsync(ReconcileRequest request, CancellationToken cancellationToken)
    {
        var total = new RunCounts();
        foreach (var nats in config.Current.Configs.Where(nats => nats is { Enabled: true, JetStreamEnabled: true }))
        {
            foreach (var stream in StreamsOf(nats).Where(stream => request.Stream is null || stream.Name.Stream == request.Stream))
            {
                var servers = connections.Get(nats.Name).ServerIds;
                var done = servers.Count > 0 && await TryAsync(
                    stream,
                    async context => total += await CompareAsync(context, stream, servers, "requested", request.Horizon, cancellationToken),
                    cancellationToken);
                if (!done)
                {
                    total += new RunCounts { Error = $"stream {stream.Name.Stream} of {nats.Name} could not be compared" };
                }
            }
        }

        await tables.FinishAsync(request.RunId, total, cancellationToken);
    }

    private async Task VerifiedAsync(
        Watched stream, VerifiedStream? known, StreamInfo info, IReadOnlyList<string> servers, DateTimeOffset at, CancellationToken cancellationToken)
    {
        // After a loss first_seq may be lower than before: what had been removed by then stays removed as long as such rows are compared.
        var floorStays = known is not null && info.State.FirstSeq < known.Floor && known.FloorAt > at - (2 * options.Value.Horizon);
        stream.Verified = new(
            [.. servers], Created(info), info.State.LastSeq, floorStays ? known!.Floor : info.State.FirstSeq, floorStays ? known!.FloorAt : at, at);
        await tables.SaveAsync(stream.Name, stream.Verified, cancellationToken);
    }

    private DateTimeOffset Since(Watched stream, DateTimeOffset now)
        => (stream.Incomplete || now < stream.RecheckUntil ? stream.RecheckSince : null) ?? ((stream.Verified?.VerifiedAt ?? now) - options.Value.Horizon);

    private static StreamFacts Facts(StreamInfo info, ulong firstSequence, VerifiedStream? known) => new(
        firstSequence,
        info.State.LastSeq,
        Created(info),
        info.Config.Retention is not StreamConfigRetention.Limits || info.Config.MaxMsgsPerSubject > 0,
        info.Config.MaxAge,
        known?.Floor ?? 0,
        known?.FloorAt ?? DateTimeOffset.MinValue);

    // In the precision of PostgreSQL, which keeps it.
    private static DateTimeOffset Created(StreamInfo info) => info.Created.AddTicks(-(info.Created.Ticks % TimeSpan.TicksPerMicrosecond));

    private static async Task<INatsJSStream?> GetAsync(INatsJSContext context, StreamName name, CancellationToken cancellationToken)
    {
        try
        {
            return await context.GetStreamAsync(name.Stream, cancellationToken: cancellationToken);
        }
        catch (NatsJSApiException e) when (e.Error.Code == 404)
        {
            return null;
        }
    }

    private sealed class Watched(StreamName name)
    {
        public StreamName Name => name;

        public VerifiedStream? Verified { get; set; }

        public DateTimeOffset DueAt { get; set; }

        public int Failures { get; set; }

        public string Reason { get; set; } = "reconnect";

        public DateTimeOffset? RecheckSince { get; set; }

        public DateTimeOffset RecheckUntil { get; set; }

        /// <summary>Something could not be published again yet.</summary>
        public bool Incomplete { get; set; }
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "publishing to {Servers} servers of {Config}")]
    private partial void Admitted(string config, int servers);

    [LoggerMessage(Level = LogLevel.Warning, Message = "stream {Stream} of {Config} lost {Missing} of {Checked} messages that it had acknowledged ({Fate}): publishing them again")]
    private partial void Lost(string stream, string config, int missing, long @checked, MessageFate fate);

    [LoggerMessage(Level = LogLevel.Warning, Message = "stream {Stream} of {Config} uses sequences again from {Sequence} on: its consumer has to be made anew")]
    private partial void SequencesReused(string stream, string config, ulong sequence);

    [LoggerMessage(Level = LogLevel.Information, Message = "compared stream {Stream} of {Config} ({Reason}): {Checked} rows, {Missing} missing, {Republished} published again, {Duplicates} found elsewhere, {Unrecoverable} not recovered {Error}, in {Duration}")]
    private partial void Compared(
        string stream, string config, string reason, long @checked, long missing, long republished, long duplicates, long unrecoverable, string? error, TimeSpan duration);

    [LoggerMessage(Level = LogLevel.Warning, Message = "stream {Stream} of {Config} could not be compared with the history: {Reason}")]
    private partial void NotCompared(string stream, string config, string reason);
}
