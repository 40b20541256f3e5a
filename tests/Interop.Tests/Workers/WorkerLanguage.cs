using System.Diagnostics;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.Interop.Tests.Workers;

/// <summary>How the example worker of a language is started here, or why it cannot be.</summary>
internal sealed class WorkerLanguage
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(5);

    private static readonly Lazy<WorkerLanguage> Node = new(static () => new("node", [Script("nodejs", "worker.js")], null));
    private static readonly Lazy<WorkerLanguage> Python = new(FindPython);
    private static readonly Lazy<WorkerLanguage> Go = new(FindGo);

    private WorkerLanguage(string command, string[] arguments, string? missing) => (Command, Arguments, Missing) = (command, arguments, missing);

    public string Command { get; }

    public string[] Arguments { get; }

    /// <summary>Null where it can be started.</summary>
    public string? Missing { get; }

    public static WorkerLanguage Of(string name) => name switch
    {
        "node" => Node.Value,
        "python" => Python.Value,
        "go" => Go.Value,
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, "no such worker"),
    };

    public static string Folder(string language) => Repository.Path("examples", "nats-workers", language);

    /// <summary>Installs what it needs beside it, where that is not there yet.</summary>
    public static Task PrepareAsync(string name) => name == "node" ? NodePrograms.InstallAsync(Folder("nodejs")) : Task.CompletedTask;

    private static WorkerLanguage FindPython()
    {
        var own = Path.Combine(Folder("python"), ".venv", "bin", "python");
        var python = Environment.GetEnvironmentVariable("PYTHON") ?? (File.Exists(own) ? own : "python3");
        var problem = Try(python, ["-c", "import nats, asyncpg"]);
        return new(python, [Script("python", "worker.py")], problem is null ? null : $"{python} has not the packages of examples/nats-workers/python/requirements.txt: {problem}");
    }

    private static WorkerLanguage FindGo()
    {
        var binary = Repository.Path("artifacts", "test-workers", "webhook-worker");
        if (Try("go", ["version"]) is { } none)
        {
            return new(binary, [], $"Go is not installed: {none}");
        }

        if (Try("go", ["mod", "download"], Folder("go")) is { } unreachable)
        {
            return new(binary, [], $"the modules of examples/nats-workers/go cannot be had: {unreachable}");
        }

        // From here on it is the worker's own fault.
        return Try("go", ["build", "-o", binary, "."], Folder("go")) is { } broken ? throw new InvalidOperationException($"go build: {broken}") : new(binary, [], null);
    }

    private static string Script(string folder, string file) => Path.Combine(Folder(folder), file);

    /// <returns>Null, or the last line it wrote.</returns>
    private static string? Try(string command, string[] arguments, string? folder = null)
    {
        try
        {
            var start = new ProcessStartInfo(command, arguments) { WorkingDirectory = folder ?? "", RedirectStandardError = true, RedirectStandardOutput = true };
            using var process = Process.Start(start)!;
            process.OutputDataReceived += static (_, _) => { };
            process.BeginOutputReadLine();
            var error = process.StandardError.ReadToEnd();
            process.WaitForExit(Limit);
            return process.ExitCode == 0 ? null : error.TrimEnd().Split('\n')[^1];
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            return e.Message;
        }
    }
}
