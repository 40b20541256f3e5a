namespace RuleEngineNats.Receiver.Tests;

public sealed class ReceiverOptionsTests
{
    private const string Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    [Fact]
    public void Options_are_read_in_both_forms()
    {
        var problems = new List<string>();

        var options = ReceiverOptions.Parse(
            ["--port", "0", "--script=/a=500x3,200", "--script", "*=503", "--secret", Secret, "--secret", $"/a={Secret}", "--secret", $"/a={Secret}", "--strict", "--keep=5", "--address", "0.0.0.0"],
            problems);

        Assert.Empty(problems);
        Assert.Equal((0, 5, true, "0.0.0.0"), (options.Port, options.Keep, options.Strict, options.Address.ToString()));
        Assert.Equal(["/a", "*"], options.Scripts.Keys);
        Assert.Equal((1, 2), (options.Secrets["*"].Count, options.Secrets["/a"].Count));
    }

    [Theory]
    [InlineData("--colour", "--colour: no such option; ./run receiver --help lists them")]
    [InlineData("--port", "--port: its value is missing; write --port VALUE")]
    [InlineData("--port=70000", "--port: \"70000\" is not 0 to 65535; give a port, or 0 for any that is free")]
    [InlineData("--port=http", "--port: \"http\" is not 0 to 65535; give a port, or 0 for any that is free")]
    [InlineData("--silent-port=-1", "--silent-port: \"-1\" is not 0 to 65535; give a port, or 0 for any that is free")]
    [InlineData("--keep=0", "--keep: \"0\" is not 1 to 100000; say how many requests GET /_log is to show")]
    [InlineData("--keep=100001", "--keep: \"100001\" is not 1 to 100000; say how many requests GET /_log is to show")]
    [InlineData("--address=here", "--address: \"here\" is no IP address; give one of this machine, such as 127.0.0.1, or 0.0.0.0 for all of them")]
    [InlineData("--script=500", "--script: \"500\" has no path; write --script \"/orders=500\", or \"*=500\" for every other path")]
    [InlineData("--script=orders=500", "--script orders: a path begins with /; write /orders, or * for every other path")]
    [InlineData("--script=/_log=500", "--script /_log: paths that begin with /_ are the receiver's own; take another")]
    [InlineData("--script=/a?b=500", "--script /a?b: a path has at most 1024 characters and no ? or #; leave the query out, every one is answered alike")]
    [InlineData("--script=/a=500x0", "--script /a: x0: a count is 1 to 1000000")]
    [InlineData("--secret=whsec_not base64", "--secret: that for * is not whsec_ and base64; copy what rule_webhook_secret_get(ID, 'signing') gives")]
    [InlineData("--secret=/a=whsec_", "--secret: that for /a is not whsec_ and base64; copy what rule_webhook_secret_get(ID, 'signing') gives")]
    [InlineData("--secret=@/no/such/file", "--secret: there is no file /no/such/file; give one whose only content is the secret")]
    [InlineData("--strict=yes", "--strict=yes: no such option; ./run receiver --help lists them")]
    public void A_bad_option_is_named_with_its_limit_and_the_fix(string argument, string problem)
    {
        var problems = new List<string>();

        ReceiverOptions.Parse([argument], problems);

        Assert.Equal([problem], problems);
    }

    [Fact]
    public void All_bad_options_are_named_at_once()
    {
        var problems = new List<string>();

        ReceiverOptions.Parse(["--port=x", "--keep=0", "--script=/a=99"], problems);

        Assert.Equal(3, problems.Count);
    }
}
