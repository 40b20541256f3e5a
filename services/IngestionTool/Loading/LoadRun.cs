using System.Threading.Channels;
using RuleEngineNats.IngestionTool.Input;

namespace RuleEngineNats.IngestionTool.Loading;

/// <summary>
/// One pass over the input:
/// <code>
/// lines ─► portions ─► window ─► sending, several at once ─► verdicts, in the input's order ─► journal
/// </code>
/// What is in memory is bounded by the window: portions that are on their way, and verdicts of those that overtook another.
/// </summary>
internal sealed class LoadRun(ILines lines, PortionSender sender, LoadJournal journal, LoadProgress progress, LoadOptions options, TimeProvider time)
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(2);

    /// <summary>Returns whether the input was read to its end and all of it has verdicts; false when <paramref name="stop"/> came before.</summary>
    public async Task<bool> RunAsync(CancellationToken stop)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(stop);
        using var abandon = new CancellationTokenSource();
        await using var grace = time.CreateTimer(_ => abandon.Cancel(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        await using var registration = stop.Register(() => grace.Change(Grace, Timeout.InfiniteTimeSpan));
        var window = Channel.CreateBounded<(Portion, Task<PortionVerdicts>)>(options.Parallel * 2);
        var reading = ReadAsync(window.Writer, ended.Token, abandon.Token);
        try
        {
            await foreach (var (portion, sending) in window.Reader.ReadAllAsync(CancellationToken.None))
            {
                var verdicts = await sending;
                journal.State.Totals.Retries = progress.Retries;
                journal.Add(portion, verdicts);
                progress.Done(portion, journal.State.Totals);
            }

            journal.State.Complete = true;
            return true;
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return false;
        }
        finally
        {
            await ended.CancelAsync();
            await abandon.CancelAsync();
            await reading;
            journal.State.Totals.Retries = progress.Retries;
            journal.Save();
        }
    }

    // Completes the window with what ended the reading: its reader sees that behind the portions before.
    private async Task ReadAsync(ChannelWriter<(Portion, Task<PortionVerdicts>)> window, CancellationToken stop, CancellationToken abandon)
    {
        using var places = new SemaphoreSlim(options.Parallel);
        var underWay = new List<Task>();
        Exception? end = null;
        try
        {
            await foreach (var portion in Portion.OfAsync(lines.ReadAsync(stop), options.Batch))
            {
                await places.WaitAsync(stop);
                var sending = SendAsync(portion);
                underWay.RemoveAll(task => task.IsCompleted);
                underWay.Add(sending);
                await window.WriteAsync((portion, sending), stop);
            }
        }
        catch (Exception e)
        {
            end = e;
        }

        window.Complete(end);
        await Task.WhenAll(underWay).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

        async Task<PortionVerdicts> SendAsync(Portion portion)
        {
            try
            {
                return await sender.SendAsync(portion, stop, abandon);
            }
            finally
            {
                places.Release();
            }
        }
    }
}
