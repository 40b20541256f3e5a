using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.IngestionTool.Tests.Servers;

/// <summary>Command lines that are wrong: all that is wrong is said at once, and nothing is sent.</summary>
public sealed class UsageTests : IAsyncLifetime
{
    private readonly TemporaryFolder _folder = TemporaryFolder.Create("usage-");

    public Task InitializeAsync() => File.WriteAllTextAsync(Path.Combine(_folder.Path, "f.csv"), "a,b\n1,2\n");

    public async Task DisposeAsync() => await _folder.DisposeAsync();

    [Fact]
    public async Task Every_problem_is_named_at_once()
    {
        var ended = await Tool.RunAsync(
            _folder.Path, "load", "f.csv", "--batch", "0", "--parallel", "65", "--patience", "3", "--column", "a:text", "--delimiter", "", "--url", "ftp://x", "--source", "ü", "--entity", "");
        Assert.Equal(2, ended.Code);
        foreach (var flag in (string[])["--batch: 0 is not 1 to 10000", "--parallel: 65", "--patience: '3'", "--column: 'a:text'", "--delimiter:", "--url: 'ftp://x'", "--source:", "--entity: it is empty"])
        {
            Assert.Contains(flag, ended.Log, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("argument missing", "load")]
    [InlineData("--format: the name 'f.txt' does not say it", "load", "f.txt")]
    [InlineData("f.ndjson", "load", "f.ndjson")]
    [InlineData("--column c: there is no such field", "load", "f.csv", "--column", "c:integer")]
    [InlineData("they belong to --format csv", "load", "-", "--infer")]
    [InlineData("give message ids, or --since", "status")]
    [InlineData("--since: 'yesterday' is no time", "status", "--since", "yesterday")]
    [InlineData("--limit: at least 1", "dead-letters", "list", "--limit", "0")]
    public async Task What_is_wrong_is_said(string problem, params string[] arguments)
    {
        var ended = await Tool.RunAsync(_folder.Path, arguments);
        Assert.Equal((2, ""), (ended.Code, ended.Output));
        Assert.Contains(problem, ended.Log, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Help_names_the_exit_codes()
    {
        var ended = await Tool.RunAsync(_folder.Path, "load", "--help");
        Assert.Equal(0, ended.Code);
        Assert.Contains("130 interrupted", ended.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_not_there_is_unreachable()
        => Assert.Equal(3, (await Tool.RunAsync(_folder.Path, "status", Guid.NewGuid().ToString(), "--url", $"http://127.0.0.1:{Ports.Free()}")).Code);
}
