using System.Text;
using NATS.Client.Core;
using NATS.Client.JetStream;
using RuleEngineNats.Contracts;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.IngestionWorker.Tests;

[Trait("Category", "Servers")]
public sealed class DefinitionTests
{
    private const string Everything = """
        apiVersion: nomnom.io/v1
        kind: Entity
        metadata: {name: Everything}
        spec:
          type: root
          fields:
            - {name: text, type: String, constraints: {nullable: true}}
            - {name: whole, type: Integer, constraints: {nullable: true}}
            - {name: real, type: Float, constraints: {nullable: true}}
            - {name: exact, type: Decimal, constraints: {nullable: true}}
            - {name: truth, type: Boolean, constraints: {nullable: true}}
            - {name: moment, type: DateTime, constraints: {nullable: true}}
            - {name: day, type: Date, constraints: {nullable: true}}
            - {name: object, type: Object, constraints: {nullable: true}}
            - {name: list, type: "List[String]", constraints: {nullable: true}}
          persistence:
            table: everything
        """;

    [Theory]
    [InlineData("text", "\"a\\tb\\u00e9\\ud83d\\ude00\"", "a\tbé😀")]
    [InlineData("text", "\"\"", "")]
    [InlineData("text", "null", null)]
    [InlineData("whole", "-9223372036854775808", "-9223372036854775808")]
    [InlineData("whole", "9223372036854775807", "9223372036854775807")]
    [InlineData("real", "-0.1", "-0.1")]
    [InlineData("real", "1e300", "1e+300")]
    [InlineData("exact", "0", "0")]
    [InlineData("exact", "-0.00", "0.00")]
    [InlineData("exact", "0.0001", "0.0001")]
    [InlineData("exact", "-1234567.5", "-1234567.5")]
    [InlineData("exact", "10000", "10000")]
    [InlineData("exact", "100000000.00010", "100000000.00010")]
    [InlineData("exact", "79228162514264337593543950335", "79228162514264337593543950335")]
    [InlineData("exact", "7.9228162514264337593543950335", "7.9228162514264337593543950335")]
    [InlineData("exact", "-0.0000000000000000000000000001", "-0.0000000000000000000000000001")]
    [InlineData("truth", "true", "true")]
    [InlineData("truth", "false", "false")]
    [InlineData("moment", "\"2026-02-03T04:05:06.789012+01:00\"", "2026-02-03 03:05:06.789012+00")]
    [InlineData("moment", "\"1969-12-31T23:59:59.999999Z\"", "1969-12-31 23:59:59.999999+00")]
    [InlineData("moment", "\"0001-01-01T00:00:00Z\"", "0001-01-01 00:00:00+00")]
    [InlineData("day", "\"2000-01-01\"", "2000-01-01")]
    [InlineData("day", "\"1600-02-29\"", "1600-02-29")]
    [InlineData("object", "{\"a\":[1,2.50,null]}", "{\"a\": [1, 2.50, null]}")]
    [InlineData("list", "[\"x\",\"y\"]", "[\"x\", \"y\"]")]
    public async Task Every_value_is_in_its_column_as_it_was_written(string column, string json, string? stored)
    {
        var ingestion = await Shared.Value;
        var id = await ingestion.SendAsync($$"""{"{{column}}": {{json}}}""", "Everything");
        await ingestion.HasStatusAsync(id, "completed 0");
        await using var connection = await ingestion.Database.OpenConnectionAsync();
        await using var command = new Npgsql.NpgsqlCommand($"""
            SET TimeZone = 'UTC'; SELECT coalesce("{column}"::text, 'NULL') FROM everything ORDER BY ingested_at DESC LIMIT 1
            """, connection);
        Assert.Equal(stored ?? "NULL", await command.ExecuteScalarAsync());
    }

    private static readonly Lazy<Task<Ingestion>> Shared = new(async () =>
    {
        var ingestion = await Ingestion.StartAsync(withEntities: false);
        await File.WriteAllTextAsync(Path.Combine(ingestion.Entities, "everything.yaml"), Everything);
        await ingestion.StartWorkerAsync();
        return ingestion;
    });

    [Fact]
    public async Task Definitions_that_change_are_followed_without_a_restart_and_broken_ones_change_nothing()
    {
        await using var ingestion = await Ingestion.StartAsync();
        var worker = await ingestion.StartWorkerAsync();
        await ingestion.HasStatusAsync(await ingestion.SendAsync("""{"text":"early"}"""), "dlq no_entity 0");
        await File.WriteAllTextAsync(Path.Combine(ingestion.Entities, "everything.yaml"), Everything);
        await Wait.UntilAsync(() => worker.Output.Split("are in use").Length == 3, "it uses the new ones");
        await ingestion.HasStatusAsync(await ingestion.SendAsync("""{"text":"in time"}""", "Everything"), "completed 0");
        await File.WriteAllTextAsync(Path.Combine(ingestion.Entities, "everything.yaml"), Everything.Replace("type: Float", "type: Flaot", StringComparison.Ordinal));
        await Wait.UntilAsync(async () => await worker.HealthAsync() is (200, var body) && body.Contains("Flaot", StringComparison.Ordinal), "it names the problem and stays ready");
        await ingestion.HasStatusAsync(await ingestion.SendAsync("""{"text":"still"}""", "Everything"), "completed 0");
        Assert.Equal(2, await ingestion.CountAsync("everything"));
    }

    [Fact]
    public async Task Definitions_that_are_broken_at_start_make_dead_letters_of_nothing()
    {
        await using var ingestion = await Ingestion.StartAsync(withEntities: false);
        var file = Path.Combine(ingestion.Entities, "everything.yaml");
        await File.WriteAllTextAsync(file, Everything.Replace("type: Float", "type: Flaot", StringComparison.Ordinal));
        var id = await ingestion.SendAsync("""{"text":"early"}""");
        var worker = await ingestion.StartWorkerAsync(waitUntilReady: false);
        await Wait.UntilAsync(async () => await worker.HealthAsync() is (503, var body) && body.Contains("Flaot", StringComparison.Ordinal), "it names the problem");
        Assert.Null(await ingestion.StatusAsync(id));
        await File.WriteAllTextAsync(file, Everything);
        await ingestion.HasStatusAsync(id, "completed 0");
        await worker.ReadyAsync();
        Assert.Empty(await ingestion.DeadLettersAsync());
    }

    [Fact]
    public async Task Tables_that_differ_are_named_and_never_altered()
    {
        await using var ingestion = await Ingestion.StartAsync();
        await ingestion.ExecuteAsync("CREATE TABLE orders (order_key varchar(40) PRIMARY KEY, total_price text)");
        var worker = await ingestion.StartWorkerAsync();
        var (status, body) = await worker.HealthAsync();
        Assert.Equal(200, status);
        Assert.Contains("orders.total_price: is text, not numeric(15,2)", body, StringComparison.Ordinal);
        Assert.Contains("orders.customer_key: is missing", body, StringComparison.Ordinal);
        Assert.Equal(2, await ingestion.CountAsync("information_schema.columns", "table_name = 'orders'"));
    }

    [Fact]
    public async Task A_column_of_another_type_gets_the_value_and_not_its_bytes()
    {
        await using var ingestion = await Ingestion.StartAsync();
        var first = await ingestion.StartWorkerAsync();
        await first.TerminateAsync();
        // 8 bytes as well, which would be taken for another number.
        await ingestion.ExecuteAsync("ALTER TABLE orders ALTER ship_priority TYPE double precision; ALTER TABLE order_line_items ALTER line_number TYPE integer");
        await ingestion.StartWorkerAsync();
        await ingestion.HasStatusAsync(await ingestion.SendAsync(Orders.Of("O-1", extra: ",\"ship_priority\":7")), "completed 0");
        Assert.Equal(7, await ingestion.ScalarAsync<double>("SELECT ship_priority FROM orders"));
        Assert.Equal("1 2", await ingestion.ScalarAsync<string>("SELECT string_agg(line_number::text, ' ' ORDER BY line_number) FROM order_line_items"));
    }

    [Fact]
    public async Task Two_workers_that_start_at_once_make_the_tables_once_and_share_the_documents()
    {
        await using var ingestion = await Ingestion.StartAsync();
        var ids = await ingestion.SendManyAsync(Orders.Many(4000, lines: 1));
        await Task.WhenAll(
            ingestion.StartWorkerAsync(settings: [("Ingestion__Worker__Name", "one"), ("Ingestion__Worker__BatchSize", "100")]),
            ingestion.StartWorkerAsync(settings: [("Ingestion__Worker__Name", "two"), ("Ingestion__Worker__BatchSize", "100")]));
        await ingestion.SettledAsync();
        await ingestion.HasStatusAsync(ids[^1], "completed 0");
        ids = await ingestion.SendManyAsync(Orders.Many(2000, "M", lines: 1));
        await ingestion.HasStatusAsync(ids[^1], "completed 0");
        await ingestion.SettledAsync();
        Assert.Equal(6000, await ingestion.CountAsync("orders"));
        Assert.Equal(6000, await ingestion.ScalarAsync<decimal>("SELECT sum(completed) FROM ingest_totals"));
        Assert.Equal("one two", await ingestion.ScalarAsync<string>("SELECT string_agg(DISTINCT split_part(worker_name, '#', 1), ' ') FROM ingest_totals WHERE completed > 0"));
        // Each says in the statistics what it takes.
        await Wait.UntilAsync(
            async () => await ingestion.ScalarAsync<decimal?>("SELECT sum(messages_acknowledged) FROM rule_nats_consumer_stats WHERE stream_name = 'MESSAGES'") == 6000, "the statistics agree");
    }

    [Fact]
    public async Task A_large_document_is_read_out_of_the_Object_Store_and_one_that_is_gone_is_a_dead_letter()
    {
        await using var ingestion = await Ingestion.StartAsync();
        await PayloadBucket.CreateAsync(ingestion.JetStream);
        await ingestion.StartWorkerAsync();
        var bucket = await PayloadBucket.OpenAsync(ingestion.JetStream);
        var large = new string('x', 700_000);
        List<Guid> ids = [];
        foreach (var key in (string[])["kept", "gone"])
        {
            var envelope = new IngestEnvelope(
                IngestMessageId.New(TimeProvider.System.GetUtcNow()), Encoding.UTF8.GetBytes(Orders.Of(key, extra: $",\"comment\":\"{large}\"")), "Order", TimeProvider.System.GetUtcNow());
            ids.Add(envelope.MessageId);
            var message = new System.Buffers.ArrayBufferWriter<byte>();
            envelope.WriteTo(message);
            var body = message.WrittenSpan.ToArray();
            if (key == "kept")
            {
                await bucket.PutAsync(PayloadBucket.Sha256(body), body);
            }

            var headers = new NatsHeaders();
            foreach (var (name, value) in PayloadBucket.Headers(body))
            {
                headers[name] = value;
            }

            (await ingestion.JetStream.PublishAsync("messages.ingest.Order", (byte[])[], headers: headers)).EnsureSuccess();
        }

        await ingestion.HasStatusAsync(ids[0], "completed 0");
        Assert.Equal(large.Length, await ingestion.ScalarAsync<int>("SELECT length(comment) FROM orders"));
        await Wait.UntilAsync(async () => await ingestion.CountAsync("message_status", "status = 'dlq' AND error_code = 'payload_missing'") == 1, "the other is a dead letter");
        await ingestion.SettledAsync();
    }

    [Theory]
    [InlineData(false, 0, "CREATE TABLE IF NOT EXISTS \"orders\"")]
    [InlineData(true, 1, "Flaot")]
    public async Task Check_shows_the_statements_or_the_problems(bool broken, int exitCode, string text)
    {
        await using var folder = TemporaryFolder.Create("entities-");
        foreach (var file in Directory.GetFiles(Repository.Path("examples", "entities", "tpch"), "*.yaml"))
        {
            await File.WriteAllTextAsync(
                Path.Combine(folder.Path, Path.GetFileName(file)), (await File.ReadAllTextAsync(file)).Replace("type: Decimal", broken ? "type: Flaot" : "type: Decimal", StringComparison.Ordinal));
        }

        await using var check = ChildProcess.Start(
            "dotnet", [Repository.Service("IngestionWorker"), "--check"], new Dictionary<string, string?> { ["Ingestion__Entities__Folder"] = folder.Path });
        await check.ExitedAsync();
        Assert.Equal(exitCode, check.ExitCode);
        Assert.Contains(text, check.Output, StringComparison.Ordinal);
    }
}
