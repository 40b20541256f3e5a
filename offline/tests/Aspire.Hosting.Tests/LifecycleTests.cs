using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.DependencyInjection;

namespace RuleEngineNats.Offline.Hosting;

public sealed class LifecycleTests
{
    [Fact]
    public async Task A_killed_process_is_seen_and_stays_down_until_it_is_started()
    {
        var builder = LocalApp.NewBuilder();
        builder.AddShell("worker", "exec sleep 1000");
        await using var app = await builder.StartAsync();
        await app.ResourceNotifications.WaitForResourceHealthyAsync("worker", Deadline.Token());
        var first = ProcessOf(app, "worker");

        Processes.Kill(first);

        Assert.Equal(KnownResourceStates.Finished, await app.EndOf("worker"));
        Assert.Equal(137, app.Now("worker").ExitCode);
        Assert.DoesNotContain(Processes.ChildrenOf(Environment.ProcessId), static child => Processes.CommandLineOf(child).Contains("sleep 1000", StringComparison.Ordinal));

        var result = await app.ResourceCommands.ExecuteCommandAsync("worker", KnownResourceCommands.StartCommand, Deadline.Token());
        Assert.True(result.Success, result.Message);
        await app.ResourceNotifications.WaitForResourceHealthyAsync("worker", Deadline.Token());
        Assert.NotEqual(first, ProcessOf(app, "worker"));
        await app.StopAsync(Deadline.Token());
    }

    [Fact]
    public async Task Commands_stop_and_restart_and_refuse_what_makes_no_sense()
    {
        var builder = LocalApp.NewBuilder();
        builder.AddShell("worker", "exec sleep 1000").WithExplicitStart();
        await using var app = await builder.StartAsync();
        Assert.Equal(KnownResourceStates.NotStarted, app.Now("worker").State?.Text);

        Assert.False((await Command("stop")).Success);
        Assert.True((await Command("start")).Success);
        Assert.False((await Command("start")).Success);
        var first = ProcessOf(app, "worker");
        Assert.True((await Command("restart")).Success);
        Assert.False(Processes.IsAlive(first));
        Assert.True((await Command("stop")).Success);
        Assert.Equal(KnownResourceStates.Finished, app.Now("worker").State?.Text);
        Assert.False((await Command("dance")).Success);
        Assert.False((await app.ResourceCommands.ExecuteCommandAsync("nobody", "start", Deadline.Token())).Success);
        await app.StopAsync(Deadline.Token());

        Task<ExecuteCommandResult> Command(string name) => app.ResourceCommands.ExecuteCommandAsync("worker", name, Deadline.Token());
    }

    [Fact]
    public async Task A_port_in_use_is_reported_with_resource_and_port()
    {
        using var other = new TcpListener(IPAddress.Loopback, 0);
        other.Start();
        var port = ((IPEndPoint)other.LocalEndpoint).Port;
        var builder = LocalApp.NewBuilder("--DcpPublisher:RandomizePorts=false");
        builder.AddNats("queue", port);
        await using var app = await builder.StartAsync();

        Assert.Equal(KnownResourceStates.FailedToStart, await app.EndOf("queue"));
        Assert.Contains($"Resource 'queue' cannot listen on port {port} for its endpoint 'tcp': the port is already in use.", await app.LogOf("queue"), StringComparison.Ordinal);
        await app.StopAsync(Deadline.Token());
    }

    [Fact]
    public async Task What_needs_a_container_or_does_not_exist_fails_to_start_and_says_why()
    {
        var builder = LocalApp.NewBuilder();
        builder.AddContainer("cache", "redis", "7");
        builder.AddExecutable("missing", "no-such-program-anywhere", ".");
        await using var app = await builder.StartAsync();

        Assert.Equal(KnownResourceStates.FailedToStart, await app.EndOf("cache"));
        Assert.Equal(KnownResourceStates.FailedToStart, await app.EndOf("missing"));
        Assert.Contains("needs a container ('redis:7')", await app.LogOf("cache"), StringComparison.Ordinal);
        Assert.Contains("'no-such-program-anywhere' was not found", await app.LogOf("missing"), StringComparison.Ordinal);
        await app.StopAsync(Deadline.Token());
    }

    [Fact]
    public async Task Stopping_asks_dependents_first_and_waits_for_their_last_lines()
    {
        var builder = LocalApp.NewBuilder();
        var first = builder.AddShell("first", "exec sleep 1000");
        builder.AddShell("second", "trap 'echo goodbye; exit 0' TERM; echo listening; while true; do sleep 0.1; done").WaitFor(first);
        await using var app = await builder.StartAsync();
        await app.ResourceNotifications.WaitForResourceHealthyAsync("second", Deadline.Token());
        await foreach (var lines in app.Services.GetRequiredService<ResourceLoggerService>().WatchAsync("second"))
        {
            if (lines.Any(static line => line.Content == "listening"))
            {
                break;
            }
        }

        var processes = new[] { ProcessOf(app, "first"), ProcessOf(app, "second") };

        await app.StopAsync(Deadline.Token());

        Assert.All(processes, static process => Assert.False(Processes.IsAlive(process)));
        Assert.Contains("goodbye", await app.LogOf("second"), StringComparison.Ordinal);
        Assert.Equal(0, app.Now("second").ExitCode);
        Assert.True(app.Now("second").StopTimeStamp <= app.Now("first").StopTimeStamp);
    }

    private static int ProcessOf(DistributedApplication app, string resource) =>
        (int)app.Now(resource).Properties.Single(static property => property.Name == "executable.pid").Value!;
}
