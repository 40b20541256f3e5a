using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace RuleEngineNats.TestKit;

/// <summary>A process of a test: its output is kept, it can be killed, stopped and continued, and it never outlives the test run.</summary>
public sealed partial class ChildProcess : IAsyncDisposable
{
    private const int SigTerm = 15;
    private const int SigCont = 18;
    private const int SigStop = 19;

    // The shell's standard input is a pipe of ours: once it closes, however we ended, the watcher kills what the shell became.
    private const string Lifeline = """(cat; kill -9 $$) <&3 3<&- >/dev/null 2>&1 & exec "$@" 3<&- </dev/null""";

    private readonly ConcurrentQueue<string> _output = new();
    private readonly Process _process;

    private ChildProcess(Process process) => _process = process;

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    public int ExitCode => _process.ExitCode;

    /// <summary>What it wrote on both streams so far.</summary>
    public string Output => string.Join('\n', _output);

    public static ChildProcess Start(string command, IEnumerable<string> arguments, IReadOnlyDictionary<string, string?>? environment = null)
    {
        var start = new ProcessStartInfo("bash")
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Path.GetTempPath(),
        };
        foreach (var argument in (string[])["-c", $"exec 3<&0; {Lifeline}", "lifeline", command, .. arguments])
        {
            start.ArgumentList.Add(argument);
        }

        foreach (var (name, value) in environment ?? new Dictionary<string, string?>())
        {
            start.Environment[name] = value;
        }

        var child = new ChildProcess(new Process { StartInfo = start });
        child._process.OutputDataReceived += child.Keep;
        child._process.ErrorDataReceived += child.Keep;
        child._process.Start();
        child._process.BeginOutputReadLine();
        child._process.BeginErrorReadLine();
        return child;
    }

    /// <summary><c>kill -9</c>, and the wait until it is gone.</summary>
    public async Task KillAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        await ExitedAsync();
    }

    /// <summary>SIGTERM, and the wait for its own end.</summary>
    public async Task<int> TerminateAsync(TimeSpan? deadline = null)
    {
        Signal(SigTerm);
        await ExitedAsync(deadline);
        return _process.ExitCode;
    }

    /// <summary>SIGSTOP: the process hangs with its connections open. Returns when all its threads have stopped, which kill(2) does not wait for.</summary>
    public void Pause()
    {
        Signal(SigStop);
        if (!SpinWait.SpinUntil(AllThreadsStopped, Wait.Default))
        {
            throw new TimeoutException($"process {Id} does not stop");
        }
    }

    /// <summary>SIGCONT after <see cref="Pause"/>.</summary>
    public void Resume() => Signal(SigCont);

    public async Task ExitedAsync(TimeSpan? deadline = null)
    {
        using var limit = new CancellationTokenSource(deadline ?? Wait.Default);
        try
        {
            await _process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"process {Id} did not end; its output:\n{Output}");
        }

        // Lets its watcher end too. The stream and not the writer: two may wait for one process, and a writer that is closed twice at once throws.
        await _process.StandardInput.BaseStream.DisposeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        _process.Dispose();
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int SendSignal(int process, int signal);

    // "pid (name) S ...": the state follows the last parenthesis.
    private bool AllThreadsStopped() => Directory.GetDirectories($"/proc/{Id}/task").All(thread =>
    {
        try
        {
            var stat = File.ReadAllText(Path.Combine(thread, "stat"));
            return stat[stat.LastIndexOf(')') + 2] is 'T' or 't' or 'Z';
        }
        catch (IOException)
        {
            return true; // It has ended.
        }
    });

    private void Signal(int signal)
    {
        if (SendSignal(_process.Id, signal) != 0)
        {
            throw new InvalidOperationException($"signal {signal} to process {Id}: errno {Marshal.GetLastPInvokeError()}");
        }
    }

    private void Keep(object sender, DataReceivedEventArgs line)
    {
        if (line.Data is not null)
        {
            _output.Enqueue(line.Data);
        }
    }
}
