using System.Text;
using RuleEngineNats.IngestionTool.Input;
using Xunit;

namespace RuleEngineNats.IngestionTool.Tests.Input;

public sealed class CsvLinesTests
{
    [Fact]
    public async Task Values_are_strings_unless_something_says_otherwise()
        => Assert.Equal(["{\"id\":\"007\",\"ok\":\"true\",\"name\":\"A, \\\"b\\\"\"}"], await DocumentsAsync("id,ok,name\n007,true,\"A, \"\"b\"\"\"\n"));

    [Theory]
    [InlineData("integer", "007", "7")]
    [InlineData("integer", "-0012", "-12")]
    [InlineData("integer", "+5", "5")]
    [InlineData("integer", "000", "0")]
    [InlineData("integer", "123456789012345678901234567890", "123456789012345678901234567890")]
    [InlineData("integer", "", "null")]
    [InlineData("float", "1.50", "1.50")]
    [InlineData("float", "-1e5", "-1e5")]
    [InlineData("float", "+.5", "0.5")]
    [InlineData("float", "", "null")]
    [InlineData("boolean", "Yes", "true")]
    [InlineData("boolean", "0", "false")]
    [InlineData("json", "[1, 2]", "[1, 2]")]
    [InlineData("string", "", "\"\"")]
    [InlineData("inferred", "1.5", "1.5")]
    [InlineData("inferred", "null", "null")]
    [InlineData("inferred", "false", "false")]
    [InlineData("inferred", "007", "\"007\"")]
    [InlineData("inferred", "1 ", "\"1 \"")]
    [InlineData("inferred", "[1]", "\"[1]\"")]
    [InlineData("inferred", "nullable", "\"nullable\"")]
    [InlineData("inferred", "", "\"\"")]
    public async Task A_column_has_its_type(string type, string text, string json)
        => Assert.Equal([$"{{\"a\":{json},\"b\":\"x\"}}"], await DocumentsAsync($"a,b\n\"{text}\",x\n", Type(type)));

    [Theory]
    [InlineData("integer", "1.5")]
    [InlineData("integer", "-")]
    [InlineData("float", "NaN")]
    [InlineData("float", "1,5")]
    [InlineData("boolean", "maybe")]
    [InlineData("json", "{")]
    public async Task A_value_that_is_not_of_its_type_is_refused_and_kept(string type, string text)
    {
        var line = Assert.Single(await LinesAsync($"a\n\"{text}\"\n", Type(type)));
        Assert.Equal(("invalid_value", $"{{\"a\":\"{text}\"}}"), (line.Problem, line.Document));
    }

    [Fact]
    public async Task Lines_are_counted_through_blank_ones_and_line_breaks_in_quotes()
    {
        var lines = await LinesAsync("a,b\r\n1,\"x\ny\"\r\n\r\n2,z\r\n3\r\n4,\"q\"");
        Assert.Equal([(2, null), (4, null), (5, null), (6, "invalid_csv"), (7, null)], lines.Select(line => ((int)line.Number, line.Problem)));
        Assert.Equal("", lines[1].Document);
    }

    [Theory]
    [InlineData("1,x\"y")]
    [InlineData("1,\"x\"y")]
    [InlineData("1,\"x")]
    public async Task A_quote_out_of_place_is_refused(string record)
        => Assert.Equal(["invalid_csv"], (await LinesAsync($"a,b\n{record}\n")).Select(line => line.Problem));

    [Fact]
    public async Task What_was_read_before_is_passed_over()
    {
        const string Text = "a\n1\n\"2\n2\"\n3\n4\n";
        var all = await LinesAsync(Text);
        Assert.Equal(4, all.Count);
        foreach (var line in all)
        {
            Assert.Equal(all.Where(later => later.Number > line.Number), await LinesAsync(Text, after: line.Number));
        }
    }

    [Theory]
    [InlineData("a,a\n1,2\n", "'a' is there 2 times")]
    [InlineData("a,,c\n1,2,3\n", "has no name")]
    [InlineData("x,y\n1,2\n", "--column a")]
    [InlineData("", "is empty")]
    public async Task A_header_that_says_nothing_certain_is_refused(string text, string problem)
        => Assert.Contains(problem, (await Assert.ThrowsAsync<InputException>(() => LinesAsync(text, new() { ["a"] = CsvType.String }))).Message, StringComparison.Ordinal);

    [Fact]
    public async Task A_quote_that_is_never_closed_ends_the_load_before_it_takes_the_memory()
        => Assert.StartsWith("line 2: a field above", (await Assert.ThrowsAsync<InputException>(() => LinesAsync("a\n\"" + new string('x', 5_000_000)))).Message, StringComparison.Ordinal);

    [Fact]
    public async Task What_is_not_utf_8_ends_the_load_and_is_not_replaced()
    {
        byte[] latin = [.. Encoding.UTF8.Preamble, .. Encoding.Latin1.GetBytes("a\nMüller\n")];
        Assert.Contains("not UTF-8", (await Assert.ThrowsAsync<InputException>(() => Line.OfAsync(new CsvLines(new MemoryStream(latin), Format([]))))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_byte_order_mark_is_no_part_of_the_first_name()
        => Assert.Equal(["{\"a\":\"Müller\"}"], await DocumentsAsync("\uFEFFa\nMüller\n"));

    private static Dictionary<string, CsvType> Type(string name) => new() { ["a"] = CsvColumn.TypeOf(name) ?? CsvType.Inferred };

    private static CsvFormat Format(Dictionary<string, CsvType> columns) => new(",", Infer: false, columns);

    private static Task<List<Line>> LinesAsync(string text, Dictionary<string, CsvType>? columns = null, long after = 0)
        => Line.OfAsync(new CsvLines(Line.Stream(text), Format(columns ?? []), after));

    private static async Task<IEnumerable<string>> DocumentsAsync(string text, Dictionary<string, CsvType>? columns = null)
        => (await LinesAsync(text, columns)).Select(line => line.Problem ?? line.Document);
}
