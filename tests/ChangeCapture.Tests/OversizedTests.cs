using System.Diagnostics.Metrics;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using NATS.Client.JetStream.Models;
using RuleEngineNats.ChangeCapture.Events;
using RuleEngineNats.ChangeCapture.Formats;
using RuleEngineNats.ChangeCapture.Outputs;
using RuleEngineNats.ChangeCapture.Pgoutput;

namespace RuleEngineNats.ChangeCapture.Tests;

[Trait("Category", "Servers")]
public sealed class OversizedTests
{
    [Theory]
    [InlineData(20_000, -1)]
    [InlineData(1_048_576, 20_000)]
    public async Task A_change_that_is_too_large_for_server_or_stream_is_replaced_at_its_place(int maxPayload, int maxMessageSize)
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table, new(MaxPayload: maxPayload));
        await harness.JetStream.CreateStreamAsync(new StreamConfig(CaptureHarness.Stream, ["postgres.>"]) { MaxMsgSize = maxMessageSize, DuplicateWindow = TimeSpan.FromMinutes(2) });
        var letters = Path.Combine(harness.Folder, "letters.ndjson");
        var tool = await harness.CaptureToNatsAsync("--oversized", "dead-letter", "--dead-letter-file", letters);
        await harness.ExecuteAsync("INSERT INTO t SELECT g, 0, repeat('x', CASE WHEN g % 5 = 0 THEN 30000 ELSE 10 END) FROM generate_series(1, 20) g");
        await harness.ExecuteAsync("UPDATE t SET worker = 1 WHERE id = 5; UPDATE t SET pad = repeat('y', 40000) WHERE id = 1; ALTER TABLE t REPLICA IDENTITY FULL; DELETE FROM t WHERE id = 10");
        await harness.ExecuteAsync("SELECT pg_logical_emit_message(true, 'large', repeat('z', 25000))");
        await harness.ConfirmedAsync(tool);
        var (stored, lines) = (await harness.ReadStreamAsync(), tool.Lines());
        Assert.Equal(lines.Length, stored.Count);
        Assert.Equal(stored.Count, stored.Select(message => message.Id).Distinct().Count());
        Assert.DoesNotContain("has stopped", tool.Log, StringComparison.Ordinal);
        var replaced = stored.Index().Where(message => message.Item.Subject == "postgres.transactions.oversized.event").ToArray();
        Assert.Equal(["insert", "insert", "insert", "insert", "update", "update", "delete", "message"], replaced.Select(message => Oversized(message.Item).GetProperty("operation").GetString()));
        Assert.Equal(await File.ReadAllLinesAsync(letters), replaced.Select(message => lines[message.Index]));
        foreach (var (index, message) in replaced)
        {
            var (oversized, whole) = (Oversized(message), Encoding.UTF8.GetBytes(lines[index]));
            Assert.Equal((whole.Length, 20_000), (oversized.GetProperty("bytes").GetInt32(), oversized.GetProperty("limit").GetInt32()));
            Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(whole)), oversized.GetProperty("sha256").GetString());
        }

        Assert.All(stored.Index().Where(message => !replaced.Contains(message)), message => Assert.Equal(lines[message.Index], message.Item.Body));
        Assert.Equal(
            ["""{"id":"5"}""", """{"id":"10"}""", """{"id":"15"}""", """{"id":"20"}""", """{"id":"5"}""", """{"id":"1"}""", """{"id":"10","worker":"0"}"""],
            replaced.SkipLast(1).Select(message => Oversized(message.Item).GetProperty("key").GetRawText()));
        Assert.Equal(("public", "t", 5), (Oversized(replaced[0].Item).GetProperty("schema").GetString(), Oversized(replaced[0].Item).GetProperty("table").GetString(), Oversized(replaced[0].Item).GetProperty("transaction").GetProperty("sequence").GetInt32()));
        Assert.Equal("large", Oversized(replaced[^1].Item).GetProperty("prefix").GetString());
    }

    [Fact]
    public async Task A_restart_stores_no_replacement_twice_and_none_is_lost()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table, new(MaxPayload: 20_000));
        string[] arguments = ["--oversized", "dead-letter", "--max-in-flight", "16"];
        var tool = await harness.CaptureToNatsAsync(arguments);
        for (var kills = 0; kills < 3; kills++)
        {
            var before = await harness.StoredAsync();
            await harness.ExecuteAsync($"INSERT INTO t SELECT g, 0, repeat('x', CASE WHEN g % 3 = 0 THEN 30000 ELSE 10 END) FROM generate_series({kills * 300 + 1}, {kills * 300 + 300}) g");
            await tool.WaitAsync(async () => await harness.StoredAsync() > before + 30, "some of the transaction is stored");
            await tool.KillAsync();
            tool = await harness.CaptureToNatsAsync(arguments);
        }

        await harness.ConfirmedAsync(tool);
        var stored = await harness.ReadStreamAsync();
        Assert.Equal(stored.Count, stored.Select(message => message.Id).Distinct().Count());
        Assert.Equal(
            Enumerable.Range(1, 900).Select(id => id % 3 == 0 ? -id : id),
            stored.Select(message => message.Subject switch
            {
                "postgres.public.t.insert" => Rows.Ids([message]).Single(),
                "postgres.transactions.oversized.event" => -int.Parse(Oversized(message).GetProperty("key").GetProperty("id").GetString()!),
                _ => 0,
            }).Where(id => id != 0));
    }

    [Fact]
    public void A_key_has_the_columns_of_the_replica_identity_up_to_16_kib()
    {
        Column[] columns = [new("id", 23, -1, true), new("long", 25, -1, true), new("short", 25, -1, true), new("other", 25, -1, false)];
        var relation = new Relation(1, "s", "t", 'f', columns);
        Value[] row = [new(ValueKind.Text, "1"u8.ToArray()), new(ValueKind.Text, new byte[16 * 1024]), default, new(ValueKind.Text, "x"u8.ToArray())];
        var key = OversizedEvent.Of(new(new WalMessage.Row(RowOperation.Delete, relation, row, false, null), new(2, 1), 1, new(3, 2, 4)))!.Key;
        Assert.Equal([ValueKind.Text, ValueKind.UnchangedToast, ValueKind.UnchangedToast, ValueKind.UnchangedToast], key.Select(value => value.Kind));
    }

    [Fact]
    public async Task Each_replacement_is_counted_by_stream()
    {
        var stream = Guid.NewGuid().ToString("N");
        var counted = 0L;
        using var listener = new MeterListener { InstrumentPublished = (instrument, listener) => listener.EnableMeasurementEvents(instrument) };
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => counted += instrument.Name == "rule.cdc.oversized" && tags[0].Value as string == stream ? value : 0);
        listener.Start();
        await using var letters = new DeadLetters(
            new() { NatsStream = stream }, new JsonFormat(new(WithTransaction: true, ValueStyle.Text, []), pretty: false), null, NullLogger<DeadLetters>.Instance);
        var change = OversizedEvent.Of(new(new WalMessage.Logical(true, 1, "p", default), new(2, 1), 1, new(3, 2, 4)));
        var small = await letters.ReplaceAsync(new(1, new(2, 1), null, "subject", "id", new byte[5000]) { Replacement = change }, 4000, CancellationToken.None);
        Assert.Equal(("postgres.transactions.oversized.event", "id", 1L), (small.Subject, small.MessageId, counted));
    }

    private static JsonElement Oversized(StoredEvent message) => JsonElement.Parse(message.Body).GetProperty("Oversized");
}
