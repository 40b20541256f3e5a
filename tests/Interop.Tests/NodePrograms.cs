using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.Interop.Tests;

/// <summary>The Node programs of this folder and their packages, installed once and again when the lock file is newer.</summary>
internal static class NodePrograms
{
    private static readonly string Folder = Repository.Path("tests", "Interop.Tests", "node");

    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    // Two at once would take each other's files away.
    private static readonly ConcurrentDictionary<string, Lazy<Task>> Installed = new();

    public static Task InstallAsync() => InstallAsync(Folder);

    public static Task InstallAsync(string folder) => Installed.GetOrAdd(folder, static one => new(() => InstallOnceAsync(one))).Value;

    private static async Task InstallOnceAsync(string folder)
    {
        // npm writes this file last.
        var installed = new FileInfo(Path.Combine(folder, "node_modules", ".package-lock.json"));
        if (!installed.Exists || installed.LastWriteTimeUtc < File.GetLastWriteTimeUtc(Path.Combine(folder, "package-lock.json")))
        {
            await RunAsync(folder, "npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], "");
            File.SetLastWriteTimeUtc(installed.FullName, TimeProvider.System.GetUtcNow().UtcDateTime);
        }
    }

    /// <summary>Runs a program with this input and reads its answer; a failure shows what it wrote.</summary>
    public static async Task<JsonElement> RunAsync(string program, object input)
    {
        var answer = await RunAsync(Folder, "node", [program], JsonSerializer.Serialize(input, JsonSerializerOptions.Web));
        return JsonSerializer.Deserialize<JsonElement>(answer);
    }

    private static async Task<string> RunAsync(string folder, string command, string[] arguments, string input)
    {
        var start = new ProcessStartInfo(command, arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        using var limit = new CancellationTokenSource(Limit);
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(limit.Token);
            var error = process.StandardError.ReadToEndAsync(limit.Token);
            await process.StandardInput.WriteAsync(input.AsMemory(), limit.Token);
            process.StandardInput.Close();
            await process.WaitForExitAsync(limit.Token);
            Assert.True(process.ExitCode == 0, $"{command} {arguments[0]} ended with {process.ExitCode}:\n{await error}\n{await output}");
            return await output;
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
            }
        }
    }
}
