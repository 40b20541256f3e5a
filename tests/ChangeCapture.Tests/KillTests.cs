namespace RuleEngineNats.ChangeCapture.Tests;

[Trait("Category", "Servers")]
public sealed class KillTests
{
    [Fact]
    public async Task A_capture_killed_again_and_again_loses_nothing_and_stores_nothing_twice()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        var tool = await harness.CaptureToNatsAsync();
        using var rows = new Rows(harness);
        for (var kills = 0; kills < 3; kills++)
        {
            await rows.MoreStoredAsync(tool);
            await tool.KillAsync();
            tool = await harness.CaptureToNatsAsync();
        }

        await rows.AssertAllStoredOnceAsync(tool);
    }
}
