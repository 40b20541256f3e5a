using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.Reliability.Tests;

/// <summary>A graph for the scripts under sql/examples. RFC-0007's five run at once and in order: webhook 1 is theirs.</summary>
public sealed class ExampleGraph : IAsyncLifetime
{
    private readonly Dictionary<string, Task<(string First, string Second)>> _walkthroughs = [];

    public ServiceGraph Graph { get; private set; } = null!;

    /// <summary>What psql said to each of RFC-0007's examples.</summary>
    public List<(int ExitCode, string Output)> Rfc { get; } = [];

    public async Task InitializeAsync()
    {
        var expected = 0;
        Graph = await ServiceGraph.StartAsync();

        // The RFC's endpoint is on the internet: in this database every endpoint is the receiver.
        await Graph.ScalarAsync<object>($$"""
            CREATE FUNCTION deliver_here() RETURNS trigger LANGUAGE plpgsql AS $f$
            BEGIN NEW.url := regexp_replace(NEW.url, '^https://hooks.slack.com', '{{Graph.Receiver.Url("")}}'); RETURN NEW; END $f$;
            CREATE TRIGGER deliver_here BEFORE INSERT ON rule_webhooks FOR EACH ROW EXECUTE FUNCTION deliver_here();
            SELECT 1
            """, []);

        // Each gives webhook 1 another subject, and it receives what its subject is at the time: one waits for the events of the one before, as a reader would.
        foreach (var (example, events) in ((int, int)[])[(1, 1), (2, 1), (3, 100), (4, 1), (5, 0)])
        {
            Rfc.Add(await RunAsync($"rfc-0007-example-{example}.sql"));
            expected += events;
            await Graph.Receiver.WaitForAsync(received => received.Requests.Count >= expected, $"the events of example {example}");
        }
    }

    /// <summary>Runs a script as its first lines say; its requests go to paths of the receiver below <paramref name="path"/>.</summary>
    public async Task<(int ExitCode, string Output)> RunAsync(string script, string path = "")
    {
        await using var psql = ChildProcess.Start("psql",
        [
            Graph.Uri, "--no-psqlrc", "--set=ON_ERROR_STOP=1", $"--set=receiver={Graph.Receiver.Url(path)}",
            $"--file={Repository.Path("sql", "examples", script)}",
        ]);
        await psql.ExitedAsync(TimeSpan.FromMinutes(3));
        return (psql.ExitCode, psql.Output);
    }

    /// <summary>A walkthrough, run once and once again, whichever test asks for it first.</summary>
    public Task<(string First, string Second)> RunTwiceAsync(string script, string path)
    {
        if (!_walkthroughs.TryGetValue(script, out var runs))
        {
            _walkthroughs[script] = runs = RunAgainAsync(script, path);
        }

        return runs;
    }

    public async Task DisposeAsync() => await Graph.DisposeAsync();

    private async Task<(string First, string Second)> RunAgainAsync(string script, string path)
    {
        var first = await RunAsync(script, path);
        Assert.True(first.ExitCode == 0, first.Output);
        var second = await RunAsync(script, path);
        Assert.True(second.ExitCode == 0, second.Output);
        return (first.Output, second.Output);
    }
}

/// <summary>The tests of the scripts, one after the other.</summary>
[CollectionDefinition(Name)]
public sealed class ExampleGraphCollection : ICollectionFixture<ExampleGraph>
{
    public const string Name = "examples";
}
