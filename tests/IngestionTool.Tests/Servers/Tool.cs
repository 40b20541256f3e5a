using System.Text.Json;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.IngestionTool.Tests.Servers;

/// <summary>The command as users run it; its standard output goes to a file, apart from what it says.</summary>
internal sealed class Tool : IAsyncDisposable
{
    private readonly ChildProcess _process;
    private readonly string _output;

    private Tool(string folder, string input, string[] arguments)
    {
        _output = Path.Combine(folder, $"output-{Guid.NewGuid():N}");
        _process = ChildProcess.Start("bash", ["-c", "cd \"$1\"; exec dotnet \"${@:4}\" >\"$2\" <\"$3\"", "tool", folder, _output, input, Assembly, .. arguments]);
    }

    public static string Assembly { get; } = Repository.Service("IngestionTool", "rule-ingest");

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    /// <summary>What it wrote on standard error.</summary>
    public string Log => _process.Output;

    public static Tool Start(string folder, params string[] arguments) => new(folder, "/dev/null", arguments);

    /// <summary>Runs it to its end.</summary>
    public static async Task<Ended> RunAsync(string folder, params string[] arguments) => await EndAsync(Start(folder, arguments));

    public static async Task<Ended> PipeAsync(string folder, string input, params string[] arguments) => await EndAsync(new(folder, input, arguments));

    public Task KillAsync() => _process.KillAsync();

    public Task<int> TerminateAsync() => _process.TerminateAsync();

    public async Task<Ended> EndedAsync(TimeSpan? deadline = null)
    {
        await _process.ExitedAsync(deadline);
        return new(_process.ExitCode, await File.ReadAllTextAsync(_output), Log);
    }

    public ValueTask DisposeAsync() => _process.DisposeAsync();

    private static async Task<Ended> EndAsync(Tool tool)
    {
        await using (tool)
        {
            return await tool.EndedAsync();
        }
    }
}

/// <summary>How a run ended, and what it wrote on standard output and standard error.</summary>
internal sealed record Ended(int Code, string Output, string Log)
{
    public JsonElement Json()
    {
        using var json = JsonDocument.Parse(Output);
        return json.RootElement.Clone();
    }

    /// <summary>A number of the table in JSON.</summary>
    public long this[string name] => Json().GetProperty(name).GetInt64();
}
