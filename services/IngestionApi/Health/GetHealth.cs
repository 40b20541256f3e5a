using System.Reflection;
using Npgsql;
using RuleEngineNats.IngestionApi.Messages;
using RuleEngineNats.IngestionApi.Problems;
using RuleEngineNats.IngestionApi.Streams;

namespace RuleEngineNats.IngestionApi.Health;

/// <summary>How this process and what it uses are.</summary>
/// <param name="Status">healthy: the process works, whatever the others do.</param>
/// <param name="Database">connected or unreachable. Documents are accepted without it.</param>
/// <param name="Nats">connected or unreachable.</param>
/// <param name="Entities">The entities that documents can be sent as.</param>
/// <param name="Version">The version of this service.</param>
internal sealed record Health(string Status, string Database, string Nats, IReadOnlyList<string> Entities, string Version);

/// <summary>GET /health: 200 while the process works, so that an outage of PostgreSQL or NATS restarts nothing.</summary>
internal sealed class GetHealth(NpgsqlDataSource rules, LookAtStream look, EntityHints entities, IHostApplicationLifetime lifetime, TimeProvider time) : IDisposable
{
    private static readonly Refusal Stopping = new(503, "stopping", "", "the process is stopping", "Ask another one.") { RetryAfterSeconds = 5 };
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Fresh = TimeSpan.FromSeconds(1);

    private static readonly string Version = typeof(GetHealth).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "unknown";

    private readonly SemaphoreSlim _asking = new(1);
    private (bool IsConnected, long At)? _database;

    public async Task<IResult> HandleAsync(CancellationToken cancellationToken) => lifetime.ApplicationStopping.IsCancellationRequested
        ? Stopping.ToProblem().ToResult()
        : Results.Ok(new Health("healthy", Word(await IsConnectedAsync(cancellationToken)), Word(look.IsConnected), [.. entities.Roots], Version));

    public void Dispose() => _asking.Dispose();

    private static string Word(bool isConnected) => isConnected ? "connected" : "unreachable";

    // However many ask, PostgreSQL is asked once a second.
    private async Task<bool> IsConnectedAsync(CancellationToken cancellationToken)
    {
        await _asking.WaitAsync(cancellationToken);
        try
        {
            if (_database is not { } last || time.GetElapsedTime(last.At) >= Fresh)
            {
                _database = last = (await AskAsync(cancellationToken), time.GetTimestamp());
            }

            return last.IsConnected;
        }
        finally
        {
            _asking.Release();
        }
    }

    private async Task<bool> AskAsync(CancellationToken cancellationToken)
    {
        using var patience = new CancellationTokenSource(Patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        try
        {
            await using var command = rules.CreateCommand("SELECT 1");
            await command.ExecuteScalarAsync(either.Token);
            return true;
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            return false;
        }
    }
}
