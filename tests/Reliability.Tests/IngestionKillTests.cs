using System.Diagnostics;
using System.Globalization;
using Npgsql;
using RuleEngineNats.TestKit;
using Xunit;
using Xunit.Abstractions;

namespace RuleEngineNats.Reliability.Tests;

/// <summary>
/// I31, I32 and I34: a file of orders goes through the loader, the API, the stream and the worker into PostgreSQL while each of them is killed again and again.
/// RULE_INGEST_ORDERS and RULE_KILL_ROUNDS make it longer.
/// </summary>
[Trait("Category", "Servers")]
public sealed class IngestionKillTests(ITestOutputHelper output)
{
    private const int BrokenEvery = 1000;

    private static readonly long Orders = Setting("RULE_INGEST_ORDERS", 20_000);
    private static readonly int Rounds = Setting("RULE_KILL_ROUNDS", 1);
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3) + TimeSpan.FromMilliseconds(Orders);

    [Fact]
    public async Task Every_order_of_a_file_is_stored_once_while_each_process_is_killed()
    {
        using var limit = new CancellationTokenSource(Limit);
        await using var folder = TemporaryFolder.Create("orders-");
        var file = Path.Combine(folder.Path, "orders.ndjson");
        var ids = Path.Combine(folder.Path, "ids");
        var expected = TpchOrders.WriteFile(file, Orders, BrokenEvery);
        await using var graph = await IngestionGraph.StartAsync(new Dictionary<string, string?> { ["Ingestion__Entities__Folder"] = Entities(folder.Path) }, limit.Token);

        var clock = Stopwatch.StartNew();
        await using var loader = ChildProcess.Start(
            "dotnet", [Repository.Service("IngestionTool", "rule-ingest"), "load", file, "--url", graph.Api.HttpUrl.ToString(), "--entity", "Order", "--ids", ids, "--wait"]);
        var faults = Faults(graph, limit.Token);
        for (var fault = 0; fault < faults.Length; fault++)
        {
            await StoredAsync(graph, Orders * (fault + 1) / (faults.Length + 1), loader, limit.Token);
            await faults[fault]();
        }

        await loader.ExitedAsync(Limit);
        output.WriteLine($"{Orders} orders, {faults.Length} kills and restarts, {clock.Elapsed.TotalSeconds:0} s\n{loader.Output}");
        // Something became a dead letter.
        Assert.Equal(1, loader.ExitCode);
        Assert.Equal(expected, await SumsAsync(graph, limit.Token));
        await StatusesAgreeAsync(graph, ids, limit.Token);
    }

    // Broken orders are to be accepted, and found by the worker.
    private static string Entities(string folder)
    {
        foreach (var file in Directory.GetFiles(Repository.Path("examples", "entities", "tpch")))
        {
            File.WriteAllText(Path.Combine(folder, Path.GetFileName(file)), File.ReadAllText(file).Replace("validation: api", "validation: worker", StringComparison.Ordinal));
        }

        return folder;
    }

    private static Func<Task>[] Faults(IngestionGraph graph, CancellationToken cancellationToken)
    {
        Func<Task> api = async () =>
        {
            await graph.Api.KillAsync();
            await graph.Api.RestartAsync(cancellationToken: cancellationToken);
        };
        Func<Task> worker = async () =>
        {
            await graph.Worker.KillAsync();
            await graph.Worker.RestartAsync(cancellationToken: cancellationToken);
        };
        Func<Task> nats = async () =>
        {
            await graph.Nats.KillAsync();
            await graph.Nats.RestartAsync(cancellationToken);
        };
        Func<Task> postgres = async () =>
        {
            await graph.Postgres.KillAsync();
            await graph.Postgres.RestartAsync(cancellationToken);
            // Those of before are broken.
            graph.Database.Clear();
        };
        // PostgreSQL one time less than the others, and at least once.
        return [.. Enumerable.Range(0, Rounds).SelectMany(round => (Func<Task>[])(round > 0 && round == Rounds - 1 ? [api, worker, nats] : [api, worker, nats, postgres]))];
    }

    private static async Task StoredAsync(IngestionGraph graph, long count, ChildProcess loader, CancellationToken cancellationToken)
    {
        await Wait.UntilAsync(
            async () => loader.HasExited || await graph.ScalarAsync<long>("SELECT coalesce(sum(completed + dlq), 0)::bigint FROM ingest_totals", cancellationToken) >= count,
            $"{count} orders are stored", Limit, cancellationToken);
        Assert.False(loader.HasExited, loader.Output);
    }

    private static async Task<OrderSums> SumsAsync(IngestionGraph graph, CancellationToken cancellationToken)
    {
        await using var command = graph.Database.CreateCommand("""
            SELECT o.*, l.*
              FROM (SELECT count(*), coalesce(sum(order_key::bigint), 0)::bigint, (coalesce(sum(total_price), 0) * 100)::bigint FROM orders) o,
                   (SELECT count(*), coalesce(sum(quantity), 0)::bigint, (coalesce(sum(extended_price), 0) * 100)::bigint FROM order_line_items) l
            """);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        return new(reader.GetInt64(0), reader.GetInt64(1), reader.GetInt64(2), reader.GetInt64(3), reader.GetInt64(4), reader.GetInt64(5));
    }

    // I34: every id that was returned has ended, those of broken orders with the reason; and nothing has an id that was not returned.
    private static async Task StatusesAgreeAsync(IngestionGraph graph, string ids, CancellationToken cancellationToken)
    {
        await using var connection = await graph.Database.OpenConnectionAsync(cancellationToken);
        await using (var create = new NpgsqlCommand("CREATE TEMP TABLE returned (line bigint, message_id uuid)", connection))
        {
            await create.ExecuteNonQueryAsync(cancellationToken);
        }

        await using (var import = await connection.BeginTextImportAsync("COPY returned FROM STDIN", cancellationToken))
        {
            await foreach (var line in File.ReadLinesAsync(ids, cancellationToken))
            {
                await import.WriteAsync(line + "\n");
            }
        }

        await using var command = new NpgsqlCommand($"""
            SELECT concat_ws(' ', count(DISTINCT r.line), count(DISTINCT r.message_id), count(DISTINCT s.message_id),
                             count(DISTINCT s.message_id) FILTER (WHERE s.status = 'completed' AND r.line % {BrokenEvery} <> 0),
                             count(DISTINCT s.message_id) FILTER (WHERE s.status = 'dlq' AND s.error_code = 'invalid_document' AND s.error_message LIKE '%total_price%' AND r.line % {BrokenEvery} = 0))
              FROM returned r FULL JOIN message_status s USING (message_id)
            """, connection);
        var broken = Orders / BrokenEvery;
        Assert.Equal($"{Orders} {Orders} {Orders} {Orders - broken} {broken}", await command.ExecuteScalarAsync(cancellationToken));
    }

    private static int Setting(string name, int otherwise)
        => Environment.GetEnvironmentVariable(name) is { } value ? int.Parse(value, CultureInfo.InvariantCulture) : otherwise;
}
