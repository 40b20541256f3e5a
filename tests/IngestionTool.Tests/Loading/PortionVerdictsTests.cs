using System.Text;
using System.Text.Json;
using RuleEngineNats.IngestionTool.Input;
using RuleEngineNats.IngestionTool.Loading;
using Xunit;

namespace RuleEngineNats.IngestionTool.Tests.Loading;

public sealed class PortionVerdictsTests
{
    private const string Summary = """{"batch_id":"b","status":"success"}""";

    [Fact]
    public void Verdicts_belong_to_the_lines_of_the_file()
    {
        var verdicts = Read("""{"line":1,"status":"accepted","message_id":"m1"}""", """{"line":2,"status":"rejected","message_id":null,"code":"invalid_json","field":"$","detail":"why"}""", Summary);
        Assert.True(verdicts.IsComplete);
        Assert.Equal([(10, "m1")], verdicts.Accepted);
        var rejected = Assert.Single(verdicts.Rejected);
        Assert.Equal((12, new LineProblem("invalid_json", "$", "why"), "second"), (rejected.Line, rejected.Problem, Encoding.UTF8.GetString(rejected.Document.Span)));
    }

    [Fact]
    public void An_answer_without_its_end_is_not_whole()
    {
        Assert.False(Read("""{"line":1,"status":"accepted","message_id":"m1"}""", """{"line":2,"status":"accepted","message_id":"m2"}""").IsComplete);
        Assert.False(Read("""{"line":1,"status":"accepted","message_id":"m1"}""", Summary).IsComplete);
    }

    [Fact]
    public void Lines_that_could_not_be_stored_are_counted()
        => Assert.Equal(1, Read("""{"line":1,"status":"unavailable","code":"stream_full"}""", """{"line":2,"status":"accepted","message_id":"m2"}""", Summary).Unavailable);

    [Fact]
    public void Where_the_api_takes_fewer_lines_it_says_so()
        => Assert.Equal("too_many_lines: at most 1", Read("""{"line":1,"status":"accepted","message_id":"m1"}""", """{"line":2,"status":"rejected","code":"too_many_lines","detail":"at most 1"}""", Summary).Ended);

    [Theory]
    [InlineData("too_large", true)]
    [InlineData("too_slow", false)]
    public void What_ends_a_batch_for_good_is_told_from_what_may_pass(string code, bool ends)
    {
        var verdicts = Read($$"""{"line":1,"status":"rejected","code":"{{code}}"}""", Summary);
        Assert.False(verdicts.IsComplete);
        Assert.Equal(ends, verdicts.Ended is not null);
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("{")]
    [InlineData("""{"line":4,"status":"accepted","message_id":"m"}""")]
    [InlineData("""{"line":0,"status":"accepted","message_id":"m"}""")]
    [InlineData("""{"line":1,"status":"accepted"}""")]
    [InlineData("""{"line":1,"status":"perhaps"}""")]
    public void What_is_no_verdict_is_not_taken_for_one(string line) => Assert.ThrowsAny<JsonException>(() => Read(line));

    [Fact]
    public void A_second_verdict_of_a_line_is_none()
        => Assert.Throws<JsonException>(() => Read("""{"line":1,"status":"accepted","message_id":"m1"}""", """{"line":1,"status":"accepted","message_id":"m1"}"""));

    private static PortionVerdicts Read(params string[] answer)
    {
        var portion = new Portion();
        portion.Add(new(10, "first"u8.ToArray(), 5));
        portion.Add(new(11, default, 6));
        portion.Add(new(12, "second"u8.ToArray(), 13));
        var verdicts = new PortionVerdicts(portion);
        foreach (var line in answer)
        {
            verdicts.Read(Encoding.UTF8.GetBytes(line));
        }

        return verdicts;
    }
}
