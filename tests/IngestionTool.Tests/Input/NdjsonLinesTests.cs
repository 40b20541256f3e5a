using System.Text;
using RuleEngineNats.IngestionTool.Input;
using Xunit;

namespace RuleEngineNats.IngestionTool.Tests.Input;

public sealed class NdjsonLinesTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(1000)]
    public async Task Lines_are_the_same_however_few_bytes_come_at_once(int most)
    {
        var text = "\uFEFF{\"a\":1}\r\n\n  \n{\"ä\":\"" + new string('x', 700) + "\"}\nlast";
        var lines = await Line.OfAsync(new NdjsonLines(new Trickle(Encoding.UTF8.GetBytes(text), Math.Max(most, 3)), block: 64));
        Assert.Equal(["{\"a\":1}\r", "", "  ", "{\"ä\":\"" + new string('x', 700) + "\"}", "last"], lines.Select(line => line.Document));
        Assert.Equal([1, 2, 3, 4, 5], lines.Select(line => line.Number));
        Assert.Equal([false, false, false, false, true], lines.Select(line => line.Unterminated));
        Assert.Equal(Encoding.UTF8.GetByteCount(text), lines[^1].End);
    }

    [Fact]
    public async Task Every_line_says_where_to_go_on()
    {
        const string Text = "\uFEFFone\ntwo\r\n\nthree\nfour";
        var all = await Line.OfAsync(new NdjsonLines(Line.Stream(Text)));
        foreach (var line in all)
        {
            var stream = Line.Stream(Text);
            stream.Position = line.End;
            Assert.Equal(all.Skip((int)line.Number), await Line.OfAsync(new NdjsonLines(stream, line.End, line.Number)));
        }
    }

    [Fact]
    public async Task A_line_that_is_far_too_long_is_refused_and_not_kept_and_the_rest_goes_on()
    {
        var text = "{}\n" + new string('x', 5000) + "\n{\"b\":1}\n" + new string('y', 3000);
        var lines = await Line.OfAsync(new NdjsonLines(Line.Stream(text), maxLine: 100, block: 16));
        Assert.Equal([("{}", null), ("", "too_large"), ("{\"b\":1}", null), ("", "too_large")], lines.Select(line => (line.Document, line.Problem)));
        Assert.Equal(text.Length, lines[^1].End);
    }

    [Fact]
    public async Task A_line_as_long_as_the_limit_is_sent_and_one_byte_more_is_not()
        => Assert.Equal([null, "too_large"], (await Line.OfAsync(new NdjsonLines(Line.Stream($"{new string('x', 100)}\n{new string('x', 101)}\n"), maxLine: 100, block: 16))).Select(line => line.Problem));

    [Fact]
    public async Task Utf_16_is_refused_with_what_to_do()
    {
        var utf16 = new MemoryStream([.. Encoding.Unicode.Preamble, .. Encoding.Unicode.GetBytes("{}\n")]);
        Assert.Contains("iconv", (await Assert.ThrowsAsync<InputException>(() => Line.OfAsync(new NdjsonLines(utf16)))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_empty_input_has_no_line() => Assert.Empty(await Line.OfAsync(new NdjsonLines(Stream.Null)));
}
