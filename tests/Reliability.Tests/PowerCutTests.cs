using System.Diagnostics;
using RuleEngineNats.TestKit;
using Xunit;
using Xunit.Abstractions;

namespace RuleEngineNats.Reliability.Tests;

/// <summary>A test that needs a file system of its own to cut the power of; skipped, with the reason, where a machine does not allow it.</summary>
public sealed class PowerCutFactAttribute : FactAttribute
{
    private static readonly Lazy<string?> Unavailable = new(() => LoopVolume.UnavailableAsync().GetAwaiter().GetResult());

    public PowerCutFactAttribute() => Skip = Unavailable.Value!;
}

/// <summary>I6: a power cut of the machine that nats-server runs on.</summary>
[Trait("Category", "Servers")]
public sealed class PowerCutTests(ITestOutputHelper output)
{
    [PowerCutFact]
    public async Task I6_a_server_that_syncs_always_loses_nothing_and_nothing_is_published_again()
    {
        var cut = await CutAsync("sync_interval: always", streamIsSynced: true);
        Assert.Equal(0, cut.Missing);
    }

    [PowerCutFact]
    public async Task I6_what_a_server_had_not_synced_is_stored_again_and_delivered_once()
    {
        var cut = await CutAsync("", streamIsSynced: true);
        Assert.True(cut.Missing > 0, "the server had synced by itself: nothing was cut");
    }

    [PowerCutFact]
    public async Task I6_a_stream_that_is_gone_itself_is_made_anew_and_gets_everything_back()
    {
        var cut = await CutAsync("", streamIsSynced: false);
        Assert.True(cut.Missing > 0, "the stream was there");
    }

    private async Task<(long Missing, TimeSpan Took)> CutAsync(string jetStream, bool streamIsSynced)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(4));
        await using var volume = await LoopVolume.CreateAsync(megabytes: 256);
        // A stream that is gone is made anew at ConfigService's next look, half a minute apart by default.
        await using var graph = await ServiceGraph.StartAsync(
            settings: new Dictionary<string, string?> { ["ConfigService__ProvisionEvery"] = "00:00:03" },
            natsOptions: new NatsServerOptions { Store = volume.Path, JetStream = jetStream }, cancellationToken: limit.Token);
        var webhook = await graph.RegisterAsync("orders", cancellationToken: limit.Token);
        if (streamIsSynced)
        {
            LoopVolume.Sync();
        }

        var load = new PublishLoad(graph.Database, webhook);
        var running = load.RunAsync(limit.Token);
        await Wait.UntilAsync(() => load.Count >= PublishLoad.Events / 2 || running.IsCompleted, "half of the load is committed");
        var stored = await graph.ScalarAsync<long>("SELECT count(*) FROM rule_nats_publish_history WHERE state = 'stored'", [], limit.Token);
        // The machine ends at once: a server that went on without its disk would acknowledge what cannot be there.
        graph.Nats.Pause();
        volume.CutPower();
        await graph.Nats.KillAsync();
        await volume.RemountAsync();
        await graph.Nats.RestartAsync(limit.Token);
        var back = Stopwatch.StartNew();
        load.MayStop();
        await running;
        var evidence = await Evidence.CollectAsync(graph, webhook, load, limit.Token);
        var missing = await graph.ScalarAsync<long>("SELECT coalesce(sum(missing), 0)::bigint FROM rule_nats_reconcile_runs", [], limit.Token);
        var recovered = await graph.ScalarAsync<long>("SELECT coalesce(sum(republished + duplicates), 0)::bigint FROM rule_nats_reconcile_runs", [], limit.Token);
        output.WriteLine($"cut after {stored} stored; {missing} lost, {recovered} recovered; {evidence.Summary}; all there {back.Elapsed.TotalSeconds:0.0} s after the restart");

        evidence.I1_no_committed_event_is_lost();
        evidence.I2_nothing_is_published_that_was_rolled_back();
        evidence.I3_every_event_is_stored_once();
        evidence.History_agrees_with_the_stream();
        evidence.Only_what_was_in_flight_is_sent_again(kills: 1);
        return (missing, back.Elapsed);
    }
}
