using System.Text;
using RuleEngineNats.IngestionTool.Input;
using RuleEngineNats.IngestionTool.Loading;
using RuleEngineNats.IngestionTool.Tests.Input;
using Xunit;

namespace RuleEngineNats.IngestionTool.Tests.Loading;

public sealed class PortionTests
{
    [Fact]
    public async Task Blank_lines_are_counted_and_not_sent()
    {
        var portion = Assert.Single(await OfAsync("{}\n\n \t\r\n[]\nx", 10));
        Assert.Equal("{}\n[]\nx", Encoding.UTF8.GetString(portion.Body.Span));
        Assert.Equal((3, 2L, 5L), (portion.Count, portion.Blank, portion.LastLine));
        Assert.Equal([1, 4, 5], Enumerable.Range(0, 3).Select(portion.LineOf));
        Assert.Equal("[]", Encoding.UTF8.GetString(portion.DocumentOf(1).Span));
    }

    [Fact]
    public async Task A_load_that_goes_on_has_the_same_portions_as_one_that_was_not_interrupted()
    {
        var text = string.Concat(Enumerable.Range(0, 60).Select(line => line % 7 == 0 ? "\n" : $"{new string('x', line * 20_000 % 900_000)}\n"));
        var all = await OfAsync(text, 5);
        Assert.True(all.Count > 15);
        for (var done = 1; done < all.Count; done++)
        {
            var (offset, line) = (all[done - 1].End, all[done - 1].LastLine);
            var stream = Line.Stream(text);
            stream.Position = offset;
            var rest = await ListAsync(Portion.OfAsync(new NdjsonLines(stream, offset, line).ReadAsync(CancellationToken.None), 5));
            Assert.Equal(all.Skip(done).Select(Parts), rest.Select(Parts));
        }

        static (long, int, long, long, int) Parts(Portion portion) => (portion.Count == 0 ? 0 : portion.FirstLine, portion.Count, portion.LastLine, portion.End, portion.Body.Length);
    }

    [Fact]
    public async Task A_portion_has_no_more_bytes_than_the_api_takes_off_the_wire_but_for_one_line()
    {
        var portions = await OfAsync($"{new string('a', 600_000)}\n{new string('b', 600_000)}\n{new string('c', 2_000_000)}\nd\n", 500);
        Assert.Equal([1, 1, 1, 1], portions.Select(portion => portion.Count));
        Assert.All(portions.Where(portion => portion.Count > 1), portion => Assert.InRange(portion.Body.Length, 1, Portion.MaxBytes));
    }

    [Fact]
    public void The_key_follows_from_the_file_the_reading_the_batch_and_the_line()
    {
        var options = new LoadOptions("a", InputFormat.Csv) { Rejected = "r" };
        var columns = options with { Csv = options.Csv with { Columns = new Dictionary<string, CsvType> { ["a"] = CsvType.Integer } } };
        string[] keys =
        [
            options.KeyOf("content", 1), options.KeyOf("content", 2), options.KeyOf("other", 1), (options with { Batch = 100 }).KeyOf("content", 1),
            (options with { Entity = "Order" }).KeyOf("content", 1), (options with { Run = "again" }).KeyOf("content", 1), columns.KeyOf("content", 1),
            (options with { Format = InputFormat.Ndjson }).KeyOf("content", 1),
        ];
        Assert.Equal(keys.Length, keys.Distinct().Count());
        Assert.Equal(keys[0], (options with { File = "b", Parallel = 9, Gzip = true, Source = "s" }).KeyOf("content", 1));
        Assert.All(keys, key => Assert.Matches("^[!-~]{1,255}$", key));
    }

    private static Task<List<Portion>> OfAsync(string text, int most)
        => ListAsync(Portion.OfAsync(new NdjsonLines(Line.Stream(text)).ReadAsync(CancellationToken.None), most));

    private static async Task<List<Portion>> ListAsync(IAsyncEnumerable<Portion> portions)
    {
        var all = new List<Portion>();
        await foreach (var portion in portions)
        {
            all.Add(portion);
        }

        return all;
    }
}
