namespace RuleEngineNats.ChangeCapture.Tests;

[Trait("Category", "Servers")]
public sealed class RestartTests
{
    [Fact]
    public async Task A_capture_killed_again_and_again_loses_nothing_and_stores_nothing_twice()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        var tool = await harness.CaptureToNatsAsync();
        var load = Rows.InsertAsync(harness, transactions: 900);
        for (var kills = 0; kills < 4; kills++)
        {
            await Rows.MoreStoredAsync(harness, tool);
            await tool.KillAsync();
            tool = await harness.CaptureToNatsAsync();
        }

        await load;
        await harness.ConfirmedAsync(tool);
        await Rows.AssertAllStoredOnceAsync(harness, transactions: 900);
    }

    [Fact]
    public async Task A_nats_server_killed_and_started_anew_loses_nothing_and_stores_nothing_twice()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        var tool = await harness.CaptureToNatsAsync();
        var load = Rows.InsertAsync(harness, transactions: 900);
        for (var kills = 0; kills < 2; kills++)
        {
            await Rows.MoreStoredAsync(harness, tool);
            await harness.Nats.KillAsync();
            await tool.SaysAsync("has stopped, nothing is lost");
            await harness.Nats.RestartAsync();
        }

        await load;
        await harness.ConfirmedAsync(tool);
        await Rows.AssertAllStoredOnceAsync(harness, transactions: 900);
        Assert.Equal(tool.Lines(), (await harness.ReadStreamAsync()).Select(message => message.Body));
    }
}
