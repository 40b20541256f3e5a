using System.Diagnostics;
using System.Reflection;
using System.Runtime.InteropServices;

namespace RuleEngineNats.Offline.Hosting;

public sealed partial class AppHostProcessTests
{
    private const int SigKill = 9;
    private const int SigTerm = 15;

    [Theory]
    [InlineData(SigTerm)]
    [InlineData(SigKill)]
    public async Task Nothing_that_an_AppHost_started_outlives_it(int signal)
    {
        using var appHost = Start();
        var isUp = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        appHost.OutputDataReceived += (_, line) =>
        {
            if (line.Data == "caller: Finished waiting for resource 'service'.")
            {
                isUp.TrySetResult();
            }
        };
        appHost.BeginOutputReadLine();
        appHost.BeginErrorReadLine();
        await isUp.Task.WaitAsync(Deadline.Span);
        await Deadline.Until(() => Processes.ChildrenOf(appHost.Id).Length >= 4, "PostgreSQL, NATS, a service and its caller run");
        var children = Processes.ChildrenOf(appHost.Id);

        Assert.Equal(0, Signal(appHost.Id, signal));

        await appHost.WaitForExitAsync(Deadline.Token());
        await Deadline.Until(() => !children.Any(Processes.IsAlive), "its children are gone");
    }

    private static Process Start()
    {
        var configuration = typeof(AppHostProcessTests).Assembly.GetCustomAttribute<AssemblyConfigurationAttribute>()!.Configuration;
        var info = new ProcessStartInfo("dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Projects.TestAppHost.ProjectPath,
        };
        info.ArgumentList.Add(Path.Combine(Projects.TestAppHost.ProjectPath, "bin", configuration, "net10.0", "TestAppHost.dll"));
        info.ArgumentList.Add("--DcpPublisher:RandomizePorts=true");
        info.ArgumentList.Add("--Replicas=1");
        return Process.Start(info)!;
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Signal(int processId, int signal);
}
