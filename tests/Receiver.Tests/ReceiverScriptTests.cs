using RuleEngineNats.TestKit;

namespace RuleEngineNats.Receiver.Tests;

public sealed class ReceiverScriptTests
{
    [Fact]
    public void Answers_come_in_turn_and_the_last_one_stays()
    {
        var script = ReceiverScript.Parse("500x3, drop ,delay:29s,200");

        var steps = Enumerable.Range(0, 7).Select(_ => script.Next()).ToArray();

        Assert.Equal([500, 500, 500], steps[..3].Select(step => step.Status));
        Assert.Equal(ScriptAction.Drop, steps[3].Action);
        Assert.All(steps[4..], step => Assert.Equal((ScriptAction.Answer, 200, TimeSpan.FromSeconds(29)), (step.Action, step.Status, step.Delay)));
    }

    [Theory]
    [InlineData("302:http://169.254.169.254/x3", "Location", "http://169.254.169.254/x3")]
    [InlineData("302:\"http://example.com/?a=1,2;b\"", "Location", "http://example.com/?a=1,2;b")]
    [InlineData("429;retry-after=7", "retry-after", "7")]
    [InlineData("503;Retry-After=\"Wed, 21 Oct 2026 07:28:00 GMT\"", "Retry-After", "Wed, 21 Oct 2026 07:28:00 GMT")]
    [InlineData("200;set-cookie=\"a=b; Path=/\"", "set-cookie", "a=b; Path=/")]
    public void Headers_are_as_they_were_written(string text, string name, string value)
        => Assert.Equal(new(name, value), Assert.Single(ReceiverScript.Parse(text).Next().Headers));

    [Theory]
    [InlineData("bomb:1GiB", ScriptAction.Bomb, 1L << 30)]
    [InlineData("headers:100KiB", ScriptAction.Headers, 100 * 1024)]
    [InlineData("slow:10B/s", ScriptAction.Slow, 10)]
    [InlineData("dripx2:1B/s", ScriptAction.Drip, 1)]
    public void Sizes_and_rates_are_read(string text, ScriptAction action, long size)
    {
        var step = ReceiverScript.Parse(text).Next();

        Assert.Equal((action, size), (step.Action, step.Size));
    }

    [Theory]
    [InlineData("", "an answer is empty; write a status such as 200, and no comma at the end")]
    [InlineData("200,", "an answer is empty; write a status such as 200, and no comma at the end")]
    [InlineData("99", "\"99\" is no answer; write a status from 200 to 599, or one of *")]
    [InlineData("100", "\"100\" is no answer; write a status from 200 to 599, or one of *")]
    [InlineData("600", "\"600\" is no answer; write a status from 200 to 599, or one of *")]
    [InlineData("explode", "\"explode\" is no answer; write a status from 200 to 599, or one of *")]
    [InlineData("500x0", "x0: a count is 1 to 1000000")]
    [InlineData("500x1000001", "x1000001: a count is 1 to 1000000")]
    [InlineData("delay:soon,200", "delay: \"soon\" is no time up to 10m; write e.g. delay:500ms or delay:29s")]
    [InlineData("delay:11m,200", "delay: \"11m\" is no time up to 10m; write e.g. delay:500ms or delay:29s")]
    [InlineData("delay:1s", "delay: no answer follows; write one after it, e.g. delay:2s,200")]
    [InlineData("delay:1s;body=a,200", "delay: options such as \"body=a\" belong to the answer after it")]
    [InlineData("200:http://a/", "200:http://a/: only a status from 300 to 399 has an address; leave it out, or write 302:http://a/")]
    [InlineData("drop:5", "drop: it has no argument; leave \":5\" out")]
    [InlineData("bomb", "bomb: \"\" is no size from 1B to 64GiB; write e.g. bomb:100KiB (B, KiB, MiB, GiB)")]
    [InlineData("bomb:65GiB", "bomb: \"65GiB\" is no size from 1B to 64GiB; write e.g. bomb:100KiB (B, KiB, MiB, GiB)")]
    [InlineData("headers:2MiB", "headers: \"2MiB\" is no size from 1B to 1MiB; write e.g. headers:100KiB (B, KiB, MiB, GiB)")]
    [InlineData("slow:0B/s", "slow: \"0B/s\" is no rate from 1B/s to 1GiB/s; write e.g. slow:1B/s")]
    [InlineData("drip:5", "drip: \"5\" is no rate from 1B/s to 1GiB/s; write e.g. drip:1B/s")]
    [InlineData("200;retry-after", "\"retry-after\" is no option; write ;NAME=VALUE, for instance ;retry-after=7")]
    [InlineData("200;retry-after=date:soon", "retry-after: \"date:soon\" has no time; write e.g. retry-after=date:60s")]
    [InlineData("hang;body=a", "body: hang never gets so far as to have it; leave it out")]
    [InlineData("204;body=a", "204: an answer with status 204 has no body; take another status")]
    [InlineData("endless;status=304", "endless: an answer with status 304 has no body; take another status")]
    [InlineData("cut;status=42", "status: \"42\" is no status from 200 to 599")]
    [InlineData("200;content-length=5", "content-length: the receiver sets it by the body; for a broken length use cut")]
    [InlineData("200;a b=5", "\"a b\": a header has a name of letters, digits and -, and a value of printable ASCII")]
    [InlineData("200;x=\"a\r\nb\"", "\"x\": a header has a name of letters, digits and -, and a value of printable ASCII")]
    public void What_is_no_script_is_refused_with_the_fix(string text, string problem)
    {
        var problems = new List<string>();

        Assert.Null(ReceiverScript.Read(text, problems));

        var found = Assert.Single(problems);
        Assert.True(problem.EndsWith('*') ? found.StartsWith(problem[..^1], StringComparison.Ordinal) : found == problem, found);
    }

    [Fact]
    public void A_script_that_is_too_long_is_refused()
        => Assert.Equal(
            "4097 characters are more than 4096; shorten it",
            Assert.Throws<FormatException>(() => ReceiverScript.Parse(new('2', 4097))).Message[^46..]);

    [Fact]
    public void All_problems_are_said_at_once()
    {
        var problems = new List<string>();

        Assert.Null(ReceiverScript.Read("99,500x0,bomb:5", problems));

        Assert.Equal(3, problems.Count);
    }
}
