using System.Globalization;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.ChangeCapture.Tests;

/// <summary>The tool as users run it; its standard output goes to a file, apart from the log.</summary>
internal sealed class ToolProcess(string output, string[] arguments, IReadOnlyDictionary<string, string?>? environment = null) : IAsyncDisposable
{
    // A file that reaches a limit is to be an error of the write, as a full disk is, and not the end of the process.
    private readonly ChildProcess _process = ChildProcess.Start(
        "bash", ["-c", "trap '' XFSZ; exec dotnet \"${@:2}\" >>\"$1\"", "tool", output, Assembly, .. arguments], environment);

    public static string Assembly { get; } = Path.Combine(AppContext.BaseDirectory, "pgoutput-stream.dll");

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    /// <summary>What it wrote on standard error.</summary>
    public string Log => _process.Output;

    /// <summary>The lines of its standard output.</summary>
    public string[] Lines() => File.Exists(output) ? File.ReadAllText(output).Split('\n', StringSplitOptions.RemoveEmptyEntries) : [];

    /// <summary>The most memory that it had at once so far (VmHWM).</summary>
    public long PeakMegabytes()
        => long.Parse(File.ReadLines($"/proc/{Id}/status").Single(line => line.StartsWith("VmHWM", StringComparison.Ordinal)).Split(':')[1].Replace("kB", "", StringComparison.Ordinal), CultureInfo.InvariantCulture) / 1024;

    public Task KillAsync() => _process.KillAsync();

    public Task<int> TerminateAsync() => _process.TerminateAsync();

    public async Task<int> ExitAsync()
    {
        await _process.ExitedAsync();
        return _process.ExitCode;
    }

    public Task SaysAsync(string text, int times = 1) => WaitAsync(
        () => Task.FromResult(Log.Split(text).Length > times || (HasExited ? throw new InvalidOperationException($"it ended:\n{Log}") : false)), $"the tool says \"{text}\"");

    public Task HasLinesAsync(int count) => WaitAsync(() => Task.FromResult(Lines().Length >= count), $"the tool wrote {count} lines");

    public async Task WaitAsync(Func<Task<bool>> condition, string what, TimeSpan? deadline = null)
    {
        try
        {
            await Wait.UntilAsync(condition, what, deadline);
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{e.Message}; {Lines().Length} lines; its log:\n{Log}", e);
        }
    }

    public ValueTask DisposeAsync() => _process.DisposeAsync();
}
