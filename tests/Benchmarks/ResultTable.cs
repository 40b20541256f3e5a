using System.Globalization;

namespace RuleEngineNats.Benchmarks;

/// <summary>One line of the table: what is measured and the bare loops it is compared with, of which the slower counts.</summary>
/// <param name="Name">What is measured.</param>
/// <param name="Target">Ratio to reach; null where there is only something to know.</param>
/// <param name="Ours">Runs for a time.</param>
/// <param name="Bare">Run for the same time.</param>
internal sealed record Row(string Name, double? Target, Func<TimeSpan, Task<Run>> Ours, params Func<TimeSpan, Task<Run>>[] Bare);

/// <summary>A run: how many a second, and the latency of each in milliseconds.</summary>
internal sealed record Run(double PerSecond, double P50, double P99)
{
    public static Run Of(int count, TimeSpan elapsed, IEnumerable<double> latencies)
    {
        var sorted = latencies.Order().ToArray();
        return new Run(count / elapsed.TotalSeconds, At(0.50), At(0.99));

        double At(double part) => sorted.Length == 0 ? 0 : sorted[(int)(part * (sorted.Length - 1))];
    }
}

/// <summary>Measures rows, ours and bare in turns so that a change of the machine's load meets both, and prints medians.</summary>
internal sealed class ResultTable(TimeSpan time, int runs)
{
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(1.5);

    private readonly List<string[]> _lines = [["what", "ours/s", "p50 ms", "p99 ms", "bare/s", "p50 ms", "p99 ms", "ratio", "target"]];

    public async Task MeasureAsync(Row row)
    {
        await row.Ours(WarmUp);
        foreach (var bare in row.Bare)
        {
            await bare(WarmUp);
        }

        var ours = new List<Run>();
        var bares = row.Bare.Select(_ => new List<Run>()).ToArray();
        for (var run = 0; run < runs; run++)
        {
            ours.Add(await row.Ours(time));
            for (var index = 0; index < bares.Length; index++)
            {
                bares[index].Add(await row.Bare[index](time));
            }
        }

        var mine = Median(ours);
        var slowest = bares.Length == 0 ? null : bares.Select(Median).MinBy(run => run.PerSecond);
        _lines.Add([
            row.Name, Number(mine.PerSecond), Milliseconds(mine.P50), Milliseconds(mine.P99),
            slowest is null ? "" : Number(slowest.PerSecond), slowest is null ? "" : Milliseconds(slowest.P50), slowest is null ? "" : Milliseconds(slowest.P99),
            slowest is null ? "" : (mine.PerSecond / slowest.PerSecond).ToString("0.00", CultureInfo.InvariantCulture),
            row.Target is { } target ? target.ToString("0.00", CultureInfo.InvariantCulture) : "",
        ]);
        Console.Error.WriteLine($"measured: {row.Name}");
    }

    public void Print()
    {
        var widths = Enumerable.Range(0, _lines[0].Length).Select(column => _lines.Max(line => line[column].Length)).ToArray();
        foreach (var line in _lines)
        {
            Console.WriteLine(string.Join("  ", line.Select((cell, column) => column == 0 ? cell.PadRight(widths[column]) : cell.PadLeft(widths[column]))));
        }
    }

    private static Run Median(List<Run> runs) => new(
        Middle(runs.Select(run => run.PerSecond)), Middle(runs.Select(run => run.P50)), Middle(runs.Select(run => run.P99)));

    private static double Middle(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return sorted[sorted.Length / 2];
    }

    private static string Number(double value) => value.ToString("#,0", CultureInfo.InvariantCulture);

    private static string Milliseconds(double value) => value.ToString("0.00", CultureInfo.InvariantCulture);
}
