using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace RuleEngineNats.Offline.Hosting;

public sealed class WaitingTests
{
    [Fact]
    public async Task A_resource_starts_only_when_what_it_waits_for_is_healthy()
    {
        var isHealthy = false;
        var checks = 0;
        var builder = LocalApp.NewBuilder();
        var first = builder.AddShell("first", "exec sleep 1000").WithHealth(() =>
        {
            Interlocked.Increment(ref checks);
            return Volatile.Read(ref isHealthy) ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy("not yet");
        });
        builder.AddShell("second", "exec sleep 1000").WaitFor(first);
        await using var app = await builder.StartAsync();

        // Asked several times and told "no" each time, it still waits.
        await Deadline.Until(() => Volatile.Read(ref checks) >= 5, "the health check is asked again and again");
        Assert.Equal(KnownResourceStates.Waiting, app.Now("second").State?.Text);
        Assert.Equal("not yet", app.Now("first").HealthReports.Single().Description);
        Assert.Equal(HealthStatus.Unhealthy, app.Now("first").HealthStatus);

        Volatile.Write(ref isHealthy, true);
        await app.ResourceNotifications.WaitForResourceHealthyAsync("second", Deadline.Token());
        Assert.True(app.Now("second").StartTimeStamp > app.Now("first").StartTimeStamp);
        await app.StopAsync(Deadline.Token());
    }

    [Fact]
    public async Task A_resource_that_ends_before_it_is_healthy_stops_those_that_wait_and_shows_its_lines()
    {
        var builder = LocalApp.NewBuilder();
        var first = builder.AddShell("first", "echo before; echo wrong >&2; exit 3").WithHealth(static () => HealthCheckResult.Unhealthy());
        builder.AddShell("second", "exec sleep 1000").WaitFor(first);
        await using var app = await builder.StartAsync();

        Assert.Equal(KnownResourceStates.FailedToStart, await app.EndOf("second"));
        Assert.Equal(KnownResourceStates.Finished, await app.EndOf("first"));
        Assert.Equal(3, app.Now("first").ExitCode);
        var log = await app.LogOf("first");
        Assert.Contains("before", log, StringComparison.Ordinal);
        Assert.Contains("wrong", log, StringComparison.Ordinal);
        Assert.Contains("dependency resource 'first'", await app.LogOf("second"), StringComparison.Ordinal);
        await Assert.ThrowsAsync<DistributedApplicationException>(() => app.ResourceNotifications.WaitForResourceHealthyAsync("first", Deadline.Token()));
        await app.StopAsync(Deadline.Token());
    }

    [Fact]
    public async Task Completion_with_the_expected_code_lets_the_next_start()
    {
        var builder = LocalApp.NewBuilder();
        var job = builder.AddProject<Projects.Sample_Job>("job").WithEnvironment("EXIT_CODE", "4");
        builder.AddShell("next", "exec sleep 1000").WaitForCompletion(job, exitCode: 4);
        await using var app = await builder.StartAsync();

        await app.ResourceNotifications.WaitForResourceAsync("next", KnownResourceStates.Running, Deadline.Token());
        Assert.Equal(4, app.Now("job").ExitCode);
        Assert.Contains("the job has run", await app.LogOf("job"), StringComparison.Ordinal);
        await app.StopAsync(Deadline.Token());
    }

    [Fact]
    public async Task Completion_with_another_code_is_a_failure_of_those_that_wait()
    {
        var builder = LocalApp.NewBuilder();
        var job = builder.AddProject<Projects.Sample_Job>("job").WithEnvironment("EXIT_CODE", "4");
        builder.AddShell("next", "exec sleep 1000").WaitForCompletion(job);
        await using var app = await builder.StartAsync();

        Assert.Equal(KnownResourceStates.FailedToStart, await app.EndOf("next"));
        Assert.Contains("with exit code '4', expected '0'", await app.LogOf("next"), StringComparison.Ordinal);
        await app.StopAsync(Deadline.Token());
    }

    [Fact]
    public async Task A_resource_cannot_wait_for_itself_or_its_parent()
    {
        var builder = LocalApp.NewBuilder();
        var shell = builder.AddShell("shell", "true");

        Assert.Throws<DistributedApplicationException>(() => shell.WaitFor(shell));
        await using var app = builder.Build();
    }
}
