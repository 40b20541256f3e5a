using System.Globalization;

namespace RuleEngineNats.IngestionTool.Loading;

/// <summary>Says how far the load is: a line that changes on a terminal, else a line every 5 s.</summary>
internal sealed class LoadProgress(TextWriter output, bool terminal, long? length, LoadState begin, TimeProvider time) : IAsyncDisposable
{
    private const int Width = 24;

    private static readonly TimeSpan Redraw = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan Plain = TimeSpan.FromSeconds(5);

    private readonly Lock _lock = new();
    private readonly long _begun = time.GetTimestamp();
    private readonly long _beginOffset = begin.Offset;
    private readonly long _beginLines = begin.Lines;
    private readonly CancellationTokenSource _stop = new();
    private Task _drawing = Task.CompletedTask;
    private long _lines = begin.Lines;
    private long _offset = begin.Offset;
    private long _accepted = begin.Totals.Accepted;
    private long _rejected = begin.Totals.Rejected;
    private long _retries = begin.Totals.Retries;
    private string? _reason;

    /// <summary>Attempts that had to be repeated, of all runs.</summary>
    public long Retries => Interlocked.Read(ref _retries);

    public void Start() => _drawing = DrawAsync();

    public void Done(Portion portion, LoadTotals totals)
    {
        lock (_lock)
        {
            (_lines, _offset, _accepted, _rejected) = (portion.LastLine, portion.End, totals.Accepted, totals.Rejected);
            _reason = null;
        }
    }

    public void Retried(string reason)
    {
        lock (_lock)
        {
            _retries++;
            _reason = reason;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _drawing;
        if (terminal)
        {
            await output.WriteAsync($"\r\e[2K{Text()}\n");
        }

        _stop.Dispose();
    }

    /// <summary>E.g. <c>[############------------]  50 % 1,000,000 lines, 48,000/s, 999,990 accepted, 10 rejected, 2 retries, 00:00:21 left</c>.</summary>
    internal string Text()
    {
        lock (_lock)
        {
            var seconds = Math.Max(0.001, time.GetElapsedTime(_begun).TotalSeconds);
            var bar = "";
            var left = "";
            if (length is > 0 and var bytes)
            {
                var part = Math.Min(1, (double)_offset / bytes);
                var filled = (int)(part * Width);
                bar = string.Create(CultureInfo.InvariantCulture, $"[{new string('#', filled)}{new string('-', Width - filled)}] {part * 100,3:0} % ");
                left = _offset > _beginOffset && part < 1
                    ? string.Create(CultureInfo.InvariantCulture, $", {Time(seconds * (bytes - _offset) / (_offset - _beginOffset))} left")
                    : "";
            }

            var why = _reason is null ? "" : $"; waits: {(_reason.Length > 80 ? _reason[..80] + "…" : _reason)}";
            return string.Create(
                CultureInfo.InvariantCulture,
                $"{bar}{_lines:#,0} lines, {(_lines - _beginLines) / seconds:#,0}/s, {_accepted:#,0} accepted, {_rejected:#,0} rejected, {_retries:#,0} retries{left}{why}");
        }
    }

    private static string Time(double seconds) => string.Create(CultureInfo.InvariantCulture, $"{(long)(seconds / 3600):00}:{(long)(seconds / 60) % 60:00}:{(long)seconds % 60:00}");

    private async Task DrawAsync()
    {
        using var timer = new PeriodicTimer(terminal ? Redraw : Plain, time);
        try
        {
            while (await timer.WaitForNextTickAsync(_stop.Token))
            {
                await output.WriteAsync(terminal ? $"\r\e[2K{Text()}" : $"{Text()}\n");
            }
        }
        catch (OperationCanceledException)
        {
            // The load has ended.
        }
    }
}
