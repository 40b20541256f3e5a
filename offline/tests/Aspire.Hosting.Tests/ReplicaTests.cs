namespace RuleEngineNats.Offline.Hosting;

public sealed class ReplicaTests(TestGraph graph) : IClassFixture<TestGraph>
{
    [Fact]
    public async Task Replicas_share_one_address_and_a_killed_one_is_passed_over_and_not_replaced()
    {
        var before = await Answering();
        Assert.Equal(2, before.Count);
        var killed = await graph.App.ResourceNotifications.WaitForResourceAsync(
            "service", change => change.Snapshot.State?.Text == KnownResourceStates.Running, Deadline.Token());
        var process = ProcessOf(killed);

        Processes.Kill(process);

        var ended = await graph.App.ResourceNotifications.WaitForResourceAsync(
            killed.ResourceId, static change => KnownResourceStates.TerminalStates.Contains(change.Snapshot.State?.Text), Deadline.Token());
        Assert.Equal(137, ended.Snapshot.ExitCode);
        Assert.Equal([before.Single(other => other != process)], [.. await Answering()]);

        // Started again by hand, and by nothing else: until now there was one, from now on there are two.
        var result = await graph.App.ResourceCommands.ExecuteCommandAsync(killed.ResourceId, KnownResourceCommands.StartCommand, Deadline.Token());
        Assert.True(result.Success, result.Message);
        await graph.App.ResourceNotifications.WaitForResourceHealthyAsync(killed.ResourceId, Deadline.Token());
        var after = await Answering();
        Assert.Equal(2, after.Count);
        Assert.DoesNotContain(process, after);
    }

    private static int ProcessOf(ResourceEvent state) => (int)state.Snapshot.Properties.Single(static property => property.Name == "executable.pid").Value!;

    private async Task<HashSet<int>> Answering()
    {
        var processes = new HashSet<int>();
        for (var i = 0; i < 8; i++)
        {
            processes.Add(await graph.AnsweringProcess("service"));
        }

        return processes;
    }
}
