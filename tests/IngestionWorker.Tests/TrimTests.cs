using NATS.Client.JetStream.Models;
using RuleEngineNats.IngestionWorker.Upkeep;
using RuleEngineNats.Messaging;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.IngestionWorker.Tests;

[Trait("Category", "Servers")]
public sealed class TrimTests
{
    [Theory]
    [InlineData(799, 50, null, null)]
    [InlineData(800, 50, null, 50UL)]
    [InlineData(800, 9, null, null)]
    [InlineData(900, 50, 30, 30UL)]
    [InlineData(900, 50, 70, 50UL)]
    [InlineData(900, 50, 0, null)]
    [InlineData(900, null, 70, null)]
    public void What_every_durable_has_acknowledged_is_removed_from_the_threshold_on(long bytes, int? ours, int? other, ulong? removable)
    {
        var stream = new StreamInfo { Config = new StreamConfig("MESSAGES", ["messages.ingest.>"]) { MaxBytes = 1000 }, State = new() { Bytes = bytes, FirstSeq = 10, LastSeq = 100 } };
        List<ConsumerInfo> consumers = [Of(null, 3)];
        if (ours is { } floor)
        {
            consumers.Add(Of("ingestion-worker", floor));
        }

        if (other is { } behind)
        {
            consumers.Add(Of("audit", behind));
        }

        Assert.Equal(removable, TrimStream.Removable(stream, consumers, 0.8));

        static ConsumerInfo Of(string? durable, int floor) => new()
        {
            Name = durable ?? "ephemeral",
            StreamName = "MESSAGES",
            Config = new ConsumerConfig { DurableName = durable },
            AckFloor = new SequenceInfo { StreamSeq = (ulong)floor },
        };
    }

    [Fact]
    public async Task A_stream_that_fills_up_goes_on_taking_documents_as_long_as_they_are_stored()
    {
        await using var ingestion = await Ingestion.StartAsync(streams: new IngestStreamOptions { MaxBytes = 1024 * 1024 });
        await ingestion.StartWorkerAsync();
        for (var round = 0; round < 6; round++)
        {
            // Together several times what the stream holds.
            foreach (var document in Orders.Many(800, $"{round}-"))
            {
                await Wait.UntilAsync(
                    async () =>
                    {
                        await ingestion.SendAsync(document);
                        return true;
                    },
                    "there is room again");
            }
        }

        await ingestion.SettledAsync();
        Assert.Equal(4800, await ingestion.CountAsync("orders"));
        Assert.True((await ingestion.JetStream.GetStreamAsync("MESSAGES")).Info.State.FirstSeq > 1);
    }

    [Theory]
    [InlineData(40, 40)]
    [InlineData(1, 8)]
    public void Statuses_are_kept_at_least_as_long_as_the_streams_keep_messages(int days, int kept)
        => Assert.Equal(TimeSpan.FromDays(kept), MaintainStatus.KeepFor(TimeSpan.FromDays(days), new IngestStreamOptions()));

    [Fact]
    public async Task Old_statuses_are_deleted_and_open_ones_kept_and_totals_stay_what_they_are()
    {
        await using var ingestion = await Ingestion.StartAsync();
        await ingestion.ExecuteAsync("""
            INSERT INTO message_status (message_id, received_at, processed_at, status)
            SELECT gen_random_uuid(), now() - interval '31 days', now() - interval '31 days', CASE n % 2 WHEN 0 THEN 'dlq' ELSE 'completed' END FROM generate_series(1, 12000) AS n;
            INSERT INTO message_status (message_id, received_at, processed_at, status) VALUES
                (gen_random_uuid(), now() - interval '31 days', NULL, 'failed'), (gen_random_uuid(), now() - interval '29 days', now(), 'completed'),
                (gen_random_uuid(), now() - interval '31 days', now() - interval '1 day', 'dlq');
            INSERT INTO ingest_batches VALUES (gen_random_uuid(), now() - interval '31 days', 1, 1, 0, 0, true), (gen_random_uuid(), now(), 1, 1, 0, 0, true);
            INSERT INTO ingest_totals (worker_name, entity_type, completed, updated_at) VALUES
                ('gone', 'Order', 5, now() - interval '2 days'), ('gone too', 'Order', 7, now() - interval '2 days'), ('here', 'Order', 1, now());
            """);
        Assert.Equal(12000, await MaintainStatus.RunAsync(ingestion.Database, TimeSpan.FromDays(30), TimeProvider.System, CancellationToken.None));
        Assert.Equal("completed dlq failed", await ingestion.ScalarAsync<string>("SELECT string_agg(status, ' ' ORDER BY status) FROM message_status"));
        Assert.Equal(1, await ingestion.CountAsync("ingest_batches"));
        Assert.Equal(" 12, here 1", await ingestion.ScalarAsync<string>("SELECT string_agg(worker_name || ' ' || completed, ', ' ORDER BY worker_name) FROM ingest_totals"));
        Assert.Equal(0, await MaintainStatus.RunAsync(ingestion.Database, TimeSpan.FromDays(30), TimeProvider.System, CancellationToken.None));
    }
}
