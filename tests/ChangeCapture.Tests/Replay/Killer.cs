namespace RuleEngineNats.ChangeCapture.Tests.Replay;

/// <summary>Runs the tool, and kills it and nats-server while messages flow.</summary>
internal sealed class Killer(CaptureHarness harness)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(4);

    private ToolProcess? _tool;

    public int Killed { get; private set; }

    public int NatsKilled { get; private set; }

    /// <summary>The most that any of the tool's processes had of memory.</summary>
    public long PeakMegabytes { get; private set; }

    public async Task StartAsync() => _tool = await harness.CaptureToNatsAsync("-p", "rooted");

    /// <summary>Lets so many messages more be stored, and kills in the middle of it: nats-server, where it is its turn, and as many messages later the tool.</summary>
    /// <param name="writers">What writes; if it fails, nothing more will come.</param>
    public async Task KillAsync(bool natsToo, int messages, params Task[] writers)
    {
        if (natsToo)
        {
            await MoreStoredAsync(messages / 2, writers);
            await harness.Nats.KillAsync();
            await harness.Nats.RestartAsync();
            NatsKilled++;
        }

        await MoreStoredAsync(natsToo ? messages / 2 : messages, writers);
        Measure();
        await _tool!.KillAsync();
        Killed++;
        await StartAsync();
    }

    /// <summary>Waits until everything is stored, and ends the tool.</summary>
    public async Task DrainAsync()
    {
        await harness.ConfirmedAsync(_tool!, Patience);
        Measure();
        Assert.Equal(0, await _tool!.TerminateAsync());
    }

    private async Task MoreStoredAsync(int messages, Task[] writers)
    {
        var before = await harness.StoredAsync();
        await _tool!.WaitAsync(
            async () => writers.Any(writer => writer.IsFaulted) || await harness.StoredAsync() >= before + messages, $"{messages} more than {before} are stored", Patience);
        await Task.WhenAll(writers.Where(writer => writer.IsFaulted));
    }

    private void Measure() => PeakMegabytes = Math.Max(PeakMegabytes, _tool!.PeakMegabytes());
}
