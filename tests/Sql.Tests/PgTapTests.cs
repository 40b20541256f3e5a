namespace RuleEngineNats.Sql.Tests;

/// <summary>The pgTAP files under tests/sql, by psql. RFC-0007's own is as the RFC has it: it expects webhook 1.</summary>
[Trait("Category", "Servers")]
public sealed class PgTapTests
{
    public static TheoryData<string> Files => [.. Directory.GetFiles(Repository.Path("tests", "sql"), "*.sql").Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];

    [PgTapTheory]
    [MemberData(nameof(Files))]
    public async Task Every_test_of_the_file_passes(string file)
    {
        await using var database = await SqlDatabase.CreateAsync();
        await database.ExecuteAsync("CREATE EXTENSION pgtap");
        await database.ExecuteAsync("SELECT rule_webhook_register('test', 'https://example.com/')");
        var (exitCode, output) = await Psql.RunAsync(database.ConnectionString, "-q", "-A", "-t", "-f", Repository.Path("tests", "sql", file));
        Assert.True(exitCode == 0, output);
        var problem = TapOutput.Problem(output);
        Assert.True(problem is null, $"{problem}\n{output}");
    }

    [Theory]
    [InlineData("1..2\nok 1 - one\npsql:x: WARNING:  a warning\nok 2 - two", null)]
    [InlineData("1..2\nok 1 - one\nnot ok 2 - two\n# Failed test 2", "not ok 2 - two")]
    [InlineData("1..2\nok 1 - one", "1 of 2 tests ran")]
    [InlineData("1..1\nok 1 - one\nok 2 - two", "2 of 1 tests ran")]
    [InlineData("ok 1 - one", "there is no plan")]
    [InlineData("1..0", "there is no plan")]
    [InlineData("", "there is no plan")]
    public void Tap_output_is_good_only_when_the_whole_plan_passed(string output, string? problem)
        => Assert.Equal(problem, TapOutput.Problem(output));
}
