namespace RuleEngineNats.ChangeCapture.Tests;

[Trait("Category", "Servers")]
public sealed class SnapshotTests
{
    private const string Filled = "CREATE TABLE t (id int PRIMARY KEY, n int, pad text); INSERT INTO t SELECT g, g, repeat('x', 20) FROM generate_series(1, 1000) g;";

    [Fact]
    public async Task Rows_that_were_there_before_come_once_between_a_beginning_and_an_end()
    {
        await using var harness = await CaptureHarness.CreateAsync(Filled);
        var tool = await harness.CaptureToNatsAsync("--snapshot", "initial", "--snapshot-chunk-rows", "300");
        await tool.SaysAsync("is complete: 1000 rows of 1 tables");
        await harness.ExecuteAsync("UPDATE t SET n = 0 WHERE id = 7");
        await harness.ConfirmedAsync(tool);
        var stored = await harness.ReadStreamAsync();
        foreach (var s in stored.Take(8).Concat(stored.TakeLast(8))) Console.WriteLine($"{s.Subject} {s.Id} {s.Body}");
        Assert.Equal(tool.Lines(), stored.Select(message => message.Body));
    }
}
