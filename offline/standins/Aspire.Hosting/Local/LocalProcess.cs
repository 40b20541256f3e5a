using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Aspire.Hosting.Local;

/// <summary>A child process that cannot outlive this one.</summary>
internal sealed partial class LocalProcess
{
    public const int SigInt = 2;
    public const int SigTerm = 15;

    // What an AppHost was told about itself is not meant for what it starts.
    private static readonly string[] NotInherited =
    [
        "ASPNETCORE_URLS", "ASPNETCORE_ENVIRONMENT", "DOTNET_ENVIRONMENT", "DOTNET_LAUNCH_PROFILE", "ASPIRE_LOGLEVEL", "MSBUILDTERMINALLOGGER",
        // There is no resource service here; a dashboard that hears of one refuses to start without its credentials.
        "ASPIRE_RESOURCE_SERVICE_ENDPOINT_URL", "DOTNET_RESOURCE_SERVICE_ENDPOINT_URL",
    ];

    private static readonly BlockingCollection<Action> Launches = [];

    private readonly Process _process;
    private readonly LocalCommand _command;

    static LocalProcess() => new Thread(RunLaunches) { IsBackground = true, Name = "process launcher" }.Start();

    private LocalProcess(LocalCommand command, Process process, Task<int> exited)
    {
        _command = command;
        _process = process;
        Exited = exited;
    }

    public int Id => _process.Id;

    /// <summary>Done when it has exited and every line it wrote was passed on.</summary>
    public Task<int> Exited { get; }

    public static async Task<LocalProcess> StartAsync(LocalCommand command, Action<string, bool> onLine)
    {
        var started = new TaskCompletionSource<LocalProcess>(TaskCreationOptions.RunContinuationsAsynchronously);
        Launches.Add(() =>
        {
            try
            {
                started.SetResult(Start(command, onLine));
            }
            catch (Exception exception)
            {
                started.SetException(exception);
            }
        });
        return await started.Task.ConfigureAwait(false);
    }

    /// <summary>Runs a program to its end and gives back what it wrote; anything but exit code 0 is an error.</summary>
    public static async Task<string> RunAsync(LocalCommand command, CancellationToken cancellationToken)
    {
        var output = new ConcurrentQueue<string>();
        var process = await StartAsync(command, (line, _) => output.Enqueue(line)).ConfigureAwait(false);
        await using var kill = cancellationToken.Register(process.Kill).ConfigureAwait(false);
        var exitCode = await process.Exited.ConfigureAwait(false);
        cancellationToken.ThrowIfCancellationRequested();
        var text = string.Join(Environment.NewLine, output);
        return exitCode == 0
            ? text
            : throw new DistributedApplicationException($"'{Path.GetFileName(command.FileName)}' ended with exit code {exitCode}: {text}");
    }

    public async Task StopAsync(TimeSpan grace, CancellationToken cancellationToken)
    {
        if (Exited.IsCompleted)
        {
            return;
        }

        _ = Signal(_process.Id, _command.StopSignal);
        try
        {
            await Exited.WaitAsync(grace, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is TimeoutException or OperationCanceledException)
        {
            Kill();
            await Exited.ConfigureAwait(false);
        }
    }

    public void Kill()
    {
        try
        {
            _process.Kill(entireProcessTree: true);
        }
        catch (InvalidOperationException)
        {
            // It ended first.
        }
    }

    private static void RunLaunches()
    {
        // The kernel takes the thread that forked for the parent whose death it reports, so that thread must not end: a pool
        // thread does, and would take running children with it.
        foreach (var launch in Launches.GetConsumingEnumerable())
        {
            launch();
        }
    }

    private static LocalProcess Start(LocalCommand command, Action<string, bool> onLine)
    {
        var info = new ProcessStartInfo
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
            WorkingDirectory = command.WorkingDirectory ?? "",
        };
        List<string> line = [.. Wrapper(command), Executables.Find(command.FileName, command.WorkingDirectory), .. command.Arguments];
        info.FileName = line[0];
        foreach (var argument in line[1..])
        {
            info.ArgumentList.Add(argument);
        }

        foreach (var name in NotInherited)
        {
            info.Environment.Remove(name);
        }

        foreach (var (name, value) in command.Environment)
        {
            info.Environment[name] = value;
        }

        var process = new Process { StartInfo = info };
        process.OutputDataReceived += (_, args) => Pass(args.Data, isError: false);
        process.ErrorDataReceived += (_, args) => Pass(args.Data, isError: true);
        process.Start();
        process.StandardInput.Close();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return new LocalProcess(command, process, WaitForExit(process));

        void Pass(string? text, bool isError)
        {
            if (text is not null)
            {
                onLine(text, isError);
            }
        }
    }

    private static async Task<int> WaitForExit(Process process)
    {
        await process.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
        return process.ExitCode;
    }

    // Its own session, so that Ctrl-C reaches only the AppHost, which stops things in order.
    private static IEnumerable<string> Wrapper(LocalCommand command)
    {
        if (!OperatingSystem.IsLinux() || Executables.TryFind("setpriv") is not { } setpriv)
        {
            return [];
        }

        IEnumerable<string> user = command.User is { } name ? [$"--reuid={name}", $"--regid={name}", "--init-groups"] : [];
        IEnumerable<string> session = Executables.TryFind("setsid") is { } setsid ? [setsid] : [];
        return [.. session, setpriv, .. user, "--pdeathsig", command.DeathSignal, "--"];
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Signal(int processId, int signal);
}

internal static class Executables
{
    public static string Find(string command, string? workingDirectory) =>
        TryFind(command, workingDirectory) ?? throw new DistributedApplicationException($"The command '{command}' was not found.");

    public static string? TryFind(string command, string? workingDirectory = null)
    {
        if (command.Contains(Path.DirectorySeparatorChar))
        {
            var path = Path.GetFullPath(command, workingDirectory ?? Directory.GetCurrentDirectory());
            return File.Exists(path) ? path : null;
        }

        return (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Concat(["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"])
            .Select(directory => Path.Combine(directory, command))
            .FirstOrDefault(File.Exists);
    }
}
