using System.Security.Cryptography;
using System.Text;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using Npgsql;
using RuleEngineNats.Contracts;
using RuleEngineNats.Entities;
using RuleEngineNats.IngestionWorker.DeadLetters;
using RuleEngineNats.IngestionWorker.Pumping;
using RuleEngineNats.IngestionWorker.Reading;
using RuleEngineNats.IngestionWorker.Storing;
using Xunit;

namespace RuleEngineNats.IngestionWorker.Tests;

[Trait("Category", "Servers")]
public sealed class StatusTests
{
    private const int Ids = 40;
    private const int Steps = 400;
    private const int Workers = 8;

    [Fact]
    public async Task Whatever_workers_do_in_whatever_order_a_status_never_goes_backward()
    {
        await using var ingestion = await Ingestion.StartAsync();
        await ingestion.ExecuteAsync("""
            CREATE TABLE steps (message_id uuid, old text, new text, same boolean);
            CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO steps VALUES (NEW.message_id, OLD.status, NEW.status, OLD.body_sha256 = NEW.body_sha256 AND NEW.retry_count >= OLD.retry_count); RETURN NULL; END $$;
            CREATE TRIGGER note AFTER INSERT OR UPDATE ON message_status FOR EACH ROW EXECUTE FUNCTION note();
            """);
        var documents = await DocumentsAsync(ingestion);
        await Task.WhenAll(Enumerable.Range(0, Workers).Select(worker => Task.Run(() => WorkAsync(ingestion.Database, documents, new Random(worker)))));

        Assert.Equal(0, await ingestion.CountAsync("steps", "old IN ('completed', 'dlq') OR new = 'accepted' OR NOT same"));
        // None was settled twice, and what was is what the row says.
        Assert.Equal(0, await ingestion.ScalarAsync<long>("SELECT count(*) FROM (SELECT FROM steps WHERE new IN ('completed', 'dlq') GROUP BY message_id HAVING count(*) > 1) AS twice"));
        var settled = await ingestion.CountAsync("message_status", "status IN ('completed', 'dlq')");
        Assert.Equal(settled, await ingestion.CountAsync("steps", "new IN ('completed', 'dlq')"));
        Assert.Equal(await ingestion.CountAsync("message_status", "status = 'dlq'"), await ingestion.ScalarAsync<decimal>("SELECT coalesce(sum(dlq), 0) FROM ingest_totals"));
        // Every kind of step was seen, or this proves nothing.
        Assert.Equal("completed dlq failed processing", await ingestion.ScalarAsync<string>("SELECT string_agg(DISTINCT new, ' ' ORDER BY new) FROM steps"));
        Assert.True(await ingestion.CountAsync("steps", "old = 'failed' AND new = 'processing'") > 0);
    }

    private static async Task WorkAsync(NpgsqlDataSource database, (Document Own, Document Other)[] documents, Random random)
    {
        for (var step = 0; step < Steps; step++)
        {
            // Beginning with few, so that they meet; in the order of the stream, as a batch has them.
            var some = random.GetItems(documents[..Math.Min(documents.Length, 4 + (step / 4))], 3).DistinctBy(pair => pair.Own.Id).OrderBy(pair => pair.Own.Arrival.Sequence)
                .Select(pair => random.Next(5) == 0 ? pair.Other : pair.Own).ToArray();
            switch (random.Next(40))
            {
                case 0:
                    await CompleteAsync(database, some, random.Next(2) == 0);
                    break;
                case 1:
                    await StatusTable.BuryAsync(database, "w", [.. some.Select(document => (LetterOf(document), 1L))], CancellationToken.None);
                    break;
                case < 20:
                    await StatusTable.ProcessAsync(database, some, CancellationToken.None);
                    break;
                default:
                    await StatusTable.FailAsync(
                        database, [.. some.Select(document => (document, new StoreProblem(StoreProblemKind.MissingParent, "constraint", "its parent is missing")))], CancellationToken.None);
                    break;
            }
        }
    }

    private static async Task CompleteAsync(NpgsqlDataSource database, Document[] documents, bool commit)
    {
        await using var connection = await database.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await StatusTable.CompleteAsync(connection, documents, CancellationToken.None);
        if (commit)
        {
            await transaction.CommitAsync();
        }
    }

    private static DeadLetter LetterOf(Document document)
        => new(document.Arrival, document.Message, document.Id, DeadLetterCodes.Constraint, "for the test") { Envelope = document.Envelope, Sha256 = document.Sha256 };

    // Each id with its document and with another one that came under it.
    private static async Task<(Document Own, Document Other)[]> DocumentsAsync(Ingestion ingestion)
    {
        var entity = EntityLoader.Load(ingestion.Entities).Catalog!.Find("Order")!;
        await ingestion.SendManyAsync(Orders.Many(Ids));
        var consumer = await ingestion.JetStream.CreateOrUpdateConsumerAsync("MESSAGES", new ConsumerConfig("test"));
        List<(Document, Document)> documents = [];
        await foreach (var message in consumer.FetchAsync<byte[]>(new NatsJSFetchOpts { MaxMsgs = Ids }))
        {
            Assert.True(IngestEnvelope.TryRead(message.Data, out var envelope, out _));
            var arrival = new Arrival(message, 0);
            var own = new Document(arrival, message.Data, envelope!, SHA256.HashData(envelope!.Body.Span), entity, [], []);
            documents.Add((own, own with { Sha256 = SHA256.HashData(Encoding.UTF8.GetBytes("another")) }));
        }

        Assert.Equal(Ids, documents.Count);
        return [.. documents];
    }

    [Fact]
    public async Task The_role_of_ingestion_is_all_that_a_worker_needs_where_somebody_else_made_the_tables()
    {
        await using var ingestion = await Ingestion.StartAsync();
        var file = Path.Combine(ingestion.Entities, "order.yaml");
        await File.WriteAllTextAsync(file, (await File.ReadAllTextAsync(file)).Replace("  validation: api", "  publish: {subject: events.orders}\n  validation: api", StringComparison.Ordinal));
        foreach (var statement in EntityDdl.Statements(EntityLoader.Load(ingestion.Entities).Catalog!))
        {
            await ingestion.ExecuteAsync(statement);
        }

        var login = $"ingest_{Environment.ProcessId}_{Random.Shared.Next():x}";
        await ingestion.ExecuteAsync($"CREATE ROLE {login} LOGIN IN ROLE rule_ingest; GRANT SELECT, INSERT, UPDATE ON orders, order_line_items TO rule_ingest");
        var own = new NpgsqlConnectionStringBuilder(ingestion.ConnectionString) { Username = login }.ConnectionString;
        var worker = await ingestion.StartWorkerAsync(settings: ("ConnectionStrings__rules", own));
        await ingestion.HasStatusAsync(await ingestion.SendAsync(Orders.Of("O-1")), "completed 0");
        await ingestion.HasStatusAsync(await ingestion.SendAsync("no order"), "dlq invalid_json 0");
        await ingestion.SettledAsync();
        Assert.Equal(1, await ingestion.CountAsync("rule_nats_publish_history", "triggered_by = 'ingestion-worker'"));
        Assert.Equal(200, (await worker.HealthAsync()).Status);
        Assert.DoesNotContain("permission denied", worker.Output, StringComparison.OrdinalIgnoreCase);
        await using var alone = NpgsqlDataSource.Create(own);
        Assert.Equal(0, await Upkeep.MaintainStatus.RunAsync(alone, TimeSpan.FromDays(1), TimeProvider.System, CancellationToken.None));
    }
}
