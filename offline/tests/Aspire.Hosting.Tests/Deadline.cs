using System.Diagnostics;
using System.Globalization;

[assembly: CollectionBehavior(DisableTestParallelization = true)]

namespace RuleEngineNats.Offline.Hosting;

internal static class Deadline
{
    /// <summary>Generous: it is only reached when something is broken, however busy the machine.</summary>
    public static readonly TimeSpan Span = TimeSpan.FromSeconds(60);

    public static CancellationToken Token() => new CancellationTokenSource(Span).Token;

    public static async Task Until(Func<bool> condition, string what)
    {
        var watch = Stopwatch.StartNew();
        while (!condition())
        {
            Assert.True(watch.Elapsed < Span, $"Not within {Span.TotalSeconds.ToString(CultureInfo.InvariantCulture)} s: {what}");
            await Task.Delay(20);
        }
    }
}

internal static class Processes
{
    public static bool IsAlive(int id)
    {
        try
        {
            using var process = Process.GetProcessById(id);
            return !process.HasExited;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    public static void Kill(int id)
    {
        using var process = Process.GetProcessById(id);
        process.Kill();
    }

    public static int[] ChildrenOf(int id) =>
    [
        .. Directory.EnumerateDirectories("/proc")
            .Select(static directory => int.TryParse(Path.GetFileName(directory), out var process) ? process : 0)
            .Where(process => process > 0 && ParentOf(process) == id),
    ];

    public static string CommandLineOf(int id) => Read($"/proc/{id}/cmdline").Replace('\0', ' ');

    private static int ParentOf(int id) =>
        Read($"/proc/{id}/status").Split('\n').FirstOrDefault(static line => line.StartsWith("PPid:", StringComparison.Ordinal)) is { } line
            ? int.Parse(line["PPid:".Length..], CultureInfo.InvariantCulture)
            : 0;

    private static string Read(string file)
    {
        try
        {
            return File.ReadAllText(file);
        }
        catch (IOException)
        {
            return "";
        }
    }
}
