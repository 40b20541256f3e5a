using System.Text.RegularExpressions;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.Receiver.Tests;

/// <summary>The program as a user starts it, on a free port.</summary>
internal sealed partial class ReceiverProcess : IAsyncDisposable
{
    private readonly ChildProcess _process;

    private ReceiverProcess(ChildProcess process) => _process = process;

    public Uri Url { get; private set; } = null!;

    public string Output => _process.Output;

    public static async Task<ReceiverProcess> StartAsync(params string[] arguments)
    {
        var receiver = new ReceiverProcess(Launch(["--port", "0", .. arguments]));
        await receiver.SaysAsync("receiver on http");
        receiver.Url = new(Address().Match(receiver.Output).Value);
        return receiver;
    }

    /// <summary>Runs one that ends by itself.</summary>
    public static async Task<(int ExitCode, string Output)> RunAsync(params string[] arguments)
    {
        await using var process = Launch(arguments);
        await process.ExitedAsync();
        return (process.ExitCode, process.Output);
    }

    public Task SaysAsync(string text) => Wait.UntilAsync(() => Output.Contains(text, StringComparison.Ordinal), $"the receiver says \"{text}\"");

    public Task<int> TerminateAsync() => _process.TerminateAsync();

    public ValueTask DisposeAsync() => _process.DisposeAsync();

    private static ChildProcess Launch(string[] arguments) => ChildProcess.Start("dotnet", [Path.Combine(AppContext.BaseDirectory, "Receiver.dll"), .. arguments]);

    [GeneratedRegex(@"http://127\.0\.0\.1:[0-9]+")]
    private static partial Regex Address();
}
