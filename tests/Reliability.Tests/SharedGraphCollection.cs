using Grpc.Net.Client;
using RuleEngineNats.Contracts.Publishing;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.Reliability.Tests;

/// <summary>One graph for the tests that kill nothing; each has webhooks and subjects of its own.</summary>
public sealed class SharedGraph : IAsyncLifetime
{
    private GrpcChannel? _channel;

    public ServiceGraph Graph { get; private set; } = null!;

    public PublishService.PublishServiceClient Publisher { get; private set; } = null!;

    /// <summary>What psql said to RFC-0007's Example 1. It runs first, because its webhook is number 1.</summary>
    public (int ExitCode, string Output) Example { get; private set; }

    public async Task InitializeAsync()
    {
        Graph = await ServiceGraph.StartAsync();
        _channel = GrpcChannel.ForAddress(Graph.Publish.GrpcUrl);
        Publisher = new(_channel);

        // The example's endpoint is on the internet: in this database every endpoint is the receiver.
        await Graph.ScalarAsync<object>($$"""
            CREATE FUNCTION deliver_here() RETURNS trigger LANGUAGE plpgsql AS $f$
            BEGIN NEW.url := regexp_replace(NEW.url, '^https://hooks.slack.com', '{{Graph.Receiver.Url("")}}'); RETURN NEW; END $f$;
            CREATE TRIGGER deliver_here BEFORE INSERT ON rule_webhooks FOR EACH ROW EXECUTE FUNCTION deliver_here();
            SELECT 1
            """, []);
        await using var psql = ChildProcess.Start("psql",
            ["--no-psqlrc", "--set=ON_ERROR_STOP=1", $"--file={Repository.Path("sql", "examples", "rfc-0007-example-1.sql")}", Graph.Uri]);
        await psql.ExitedAsync();
        Example = (psql.ExitCode, psql.Output);
    }

    public async Task DisposeAsync()
    {
        _channel?.Dispose();
        await Graph.DisposeAsync();
    }
}

/// <summary>The tests that share one graph, one after the other.</summary>
[CollectionDefinition(Name)]
public sealed class SharedGraphCollection : ICollectionFixture<SharedGraph>
{
    public const string Name = "shared graph";
}
