using Npgsql;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.Reliability.Tests;

/// <summary>Ingestion as processes, against a PostgreSQL and a nats-server of their own, ready to be killed.</summary>
internal sealed class IngestionGraph : IAsyncDisposable
{
    private IngestionGraph(PostgresServer postgres, string connectionString, NatsServer nats, ServiceProcess api, ServiceProcess worker)
    {
        (Postgres, Nats, Api, Worker) = (postgres, nats, api, worker);
        Database = NpgsqlDataSource.Create(connectionString);
    }

    public PostgresServer Postgres { get; }

    public NatsServer Nats { get; }

    public ServiceProcess Api { get; }

    public ServiceProcess Worker { get; }

    public NpgsqlDataSource Database { get; }

    public static async Task<IngestionGraph> StartAsync(IReadOnlyDictionary<string, string?>? settings = null, CancellationToken cancellationToken = default)
    {
        var postgres = await PostgresServer.StartPrivateAsync(cancellationToken: cancellationToken);
        var connectionString = await postgres.CreateDatabaseAsync(cancellationToken);
        var nats = await NatsServer.StartAsync(cancellationToken: cancellationToken);
        var environment = new Dictionary<string, string?>
        {
            ["ConnectionStrings__rules"] = connectionString,
            ["ConnectionStrings__nats"] = nats.Url,
            ["Ingestion__Entities__Folder"] = Repository.Path("examples", "entities", "tpch"),
            // What a killed worker had in hand comes back within seconds instead of a minute.
            ["Ingestion__Worker__AckWait"] = "00:00:05",
            ["Ingestion__Worker__ProgressEvery"] = "00:00:01",
        };
        foreach (var (name, value) in settings ?? new Dictionary<string, string?>())
        {
            environment[name] = value;
        }

        var services = await Task.WhenAll(
            ServiceProcess.StartAsync("IngestionApi", environment, cancellationToken: cancellationToken),
            ServiceProcess.StartAsync("IngestionWorker", environment, cancellationToken: cancellationToken));
        return new(postgres, connectionString, nats, services[0], services[1]);
    }

    public async Task<T> ScalarAsync<T>(string sql, CancellationToken cancellationToken)
    {
        await using var command = Database.CreateCommand(sql);
        return (T)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    public async ValueTask DisposeAsync()
    {
        await Api.DisposeAsync();
        await Worker.DisposeAsync();
        await Nats.DisposeAsync();
        await Database.DisposeAsync();
        await Postgres.DisposeAsync();
    }
}
