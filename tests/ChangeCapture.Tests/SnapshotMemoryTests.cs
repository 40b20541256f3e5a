namespace RuleEngineNats.ChangeCapture.Tests;

[Trait("Category", "Servers")]
public sealed class SnapshotMemoryTests
{
    [Fact]
    public async Task Many_rows_and_large_rows_are_read_in_bounded_memory()
    {
        await using var harness = await CaptureHarness.CreateAsync("""
            CREATE TABLE t (id int PRIMARY KEY, pad text); INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(1, 300000) g;
            CREATE TABLE wide (id int PRIMARY KEY, pad text); INSERT INTO wide SELECT g, repeat('x', 400000) FROM generate_series(1, 500) g
            """);
        var tool = await harness.CaptureToNatsAsync("--snapshot", "initial", "--target", "nats");
        await tool.SaysAsync("is complete: 300500 rows of 2 tables");
        Assert.InRange(tool.PeakMegabytes(), 1, 256);
        Assert.Equal(300_000, await harness.ReadsAsync());
        Assert.Equal(500, await harness.ReadsAsync("public.wide"));
    }
}
