using System.Diagnostics;

namespace RuleEngineNats.TestKit;

/// <summary>A folder of a test that does not outlive the test run, however that ends.</summary>
public sealed class TemporaryFolder : IAsyncDisposable
{
    // Its standard input is a pipe of ours, which closes when we end. Whoever still writes there may need a moment to end as well.
    private const string Watcher = """exec >/dev/null 2>&1; cat; for try in {1..100}; do rm -rf -- "$1" && break; sleep 0.1; done""";

    private readonly Process _watcher;

    private TemporaryFolder(string path, Process watcher) => (Path, _watcher) = (path, watcher);

    public string Path { get; }

    public static TemporaryFolder Create(string prefix)
    {
        var path = Directory.CreateTempSubdirectory(prefix).FullName;
        return new(path, Process.Start(new ProcessStartInfo("bash", ["-c", Watcher, "watcher", path]) { RedirectStandardInput = true })!);
    }

    public async ValueTask DisposeAsync()
    {
        _watcher.StandardInput.Close();
        await _watcher.WaitForExitAsync();
        _watcher.Dispose();
    }
}
