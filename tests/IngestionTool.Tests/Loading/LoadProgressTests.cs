using RuleEngineNats.IngestionTool.Input;
using RuleEngineNats.IngestionTool.Loading;
using Xunit;

namespace RuleEngineNats.IngestionTool.Tests.Loading;

public sealed class LoadProgressTests
{
    [Fact]
    public async Task It_says_how_far_the_load_is_how_fast_and_how_long_it_takes()
    {
        var time = new SetTime();
        await using var progress = Of(length: 4000, new(), time);
        time.Seconds = 10;
        progress.Done(PortionTo(line: 1000, offset: 1000), new() { Accepted = 990, Rejected = 10 });
        progress.Retried("no connection");
        Assert.Equal("[######------------------]  25 % 1,000 lines, 100/s, 990 accepted, 10 rejected, 1 retries, 00:00:30 left; waits: no connection", progress.Text());
        progress.Done(PortionTo(line: 4000, offset: 4000), new() { Accepted = 3990, Rejected = 10 });
        Assert.Equal("[########################] 100 % 4,000 lines, 400/s, 3,990 accepted, 10 rejected, 1 retries", progress.Text());
    }

    [Fact]
    public async Task What_an_earlier_run_did_counts_for_the_place_and_not_for_the_speed()
    {
        var time = new SetTime();
        await using var progress = Of(length: 4000, new() { Lines = 2000, Offset = 2000, Totals = new() { Accepted = 2000 } }, time);
        time.Seconds = 10;
        progress.Done(PortionTo(line: 3000, offset: 3000), new() { Accepted = 3000 });
        Assert.Equal("[##################------]  75 % 3,000 lines, 100/s, 3,000 accepted, 0 rejected, 0 retries, 00:00:10 left", progress.Text());
    }

    [Fact]
    public async Task Where_the_length_is_not_known_there_is_no_end_to_say()
    {
        var time = new SetTime();
        await using var progress = Of(length: null, new(), time);
        time.Seconds = 1;
        progress.Done(PortionTo(line: 7, offset: 70), new() { Accepted = 7 });
        Assert.Equal("7 lines, 7/s, 7 accepted, 0 rejected, 0 retries", progress.Text());
    }

    private static LoadProgress Of(long? length, Begin begin, TimeProvider time)
        => new(TextWriter.Null, terminal: false, length, new() { Content = "", Reading = "", Batch = 1, Url = "", Lines = begin.Lines, Offset = begin.Offset, Totals = begin.Totals }, time);

    private static Portion PortionTo(long line, long offset)
    {
        var portion = new Portion();
        portion.Add(new SourceLine(line, "{}"u8.ToArray(), offset));
        return portion;
    }

    private sealed record Begin
    {
        public long Lines { get; init; }

        public long Offset { get; init; }

        public LoadTotals Totals { get; init; } = new();
    }

    private sealed class SetTime : TimeProvider
    {
        public long Seconds { get; set; }

        public override long TimestampFrequency => 1;

        public override long GetTimestamp() => Seconds;
    }
}
