using System.Text.Json;
using RuleEngineNats.Contracts.Changes;

namespace RuleEngineNats.ChangeCapture.Tests;

[Trait("Category", "Servers")]
public sealed class FormatOutputTests
{
    [Fact]
    public async Task Protobuf_is_the_same_in_the_stream_in_a_file_and_on_standard_output_also_after_a_kill()
    {
        await using var harness = await CaptureHarness.CreateAsync("CREATE TYPE mood AS ENUM ('ok'); CREATE TABLE t (id int PRIMARY KEY, m mood, n numeric, b bytea)");
        var file = Path.Combine(harness.Folder, "events.pb");
        string[] arguments = ["--format", "protobuf", "--values", "typed", "--file", file];
        var tool = await harness.CaptureToNatsAsync(arguments);
        await harness.ExecuteAsync("INSERT INTO t SELECT g, 'ok', g / 3.0, '\\x0a00ff' FROM generate_series(1, 300) g");
        await harness.ConfirmedAsync(tool);
        await tool.KillAsync();
        await using (var torn = File.Open(file, FileMode.Append))
        {
            torn.Write([100, 1, 2]);
        }

        tool = await harness.CaptureToNatsAsync(arguments);
        await harness.ExecuteAsync("UPDATE t SET n = NULL WHERE id = 300; DELETE FROM t WHERE id = 1; TRUNCATE t");
        await harness.ConfirmedAsync(tool);
        Assert.Equal(0, await tool.TerminateAsync());
        var stored = await harness.ReadStreamAsync();
        var events = stored.Select(message => CapturedEvent.Parser.ParseFrom(message.Bytes)).ToArray();
        Assert.All(stored, message => Assert.Equal("application/protobuf", message.Headers["content-type"].ToString()));
        Assert.Equal(Enumerable.Range(1, 300), events.Where(change => change.Insert is not null).Select(change => (int)change.Insert.New.Values[0].Integer));
        Assert.Equal(["Begin", "Type", "Relation", "Insert"], events.Take(4).Select(change => change.EventCase.ToString()));
        Assert.Equal(["Begin", "Type", "Relation", "Update", "Delete", "Truncate", "Commit"], events.TakeLast(7).Select(change => change.EventCase.ToString()));
        Assert.Equal(events, Read(file));
        Assert.Equal(Read(file), [.. Read(Path.Combine(harness.Folder, "0.out")), .. Read(Path.Combine(harness.Folder, "1.out"))]);
    }

    [Fact]
    public async Task Cloud_events_have_the_id_of_their_message_and_describe_a_table_in_each_process()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        for (var starts = 1; starts <= 2; starts++)
        {
            var tool = await harness.CaptureToNatsAsync("--format", "cloudevents", "--values", "typed");
            await harness.ExecuteAsync($"INSERT INTO t (id) VALUES ({starts})");
            await harness.ConfirmedAsync(tool);
            await tool.TerminateAsync();
        }

        var stored = await harness.ReadStreamAsync();
        Assert.Equal(
            ["transaction.begin", "table.relation", "row.insert", "transaction.commit", "transaction.begin", "table.relation", "row.insert", "transaction.commit"],
            stored.Select(message => JsonElement.Parse(message.Body).GetProperty("type").GetString()!["com.postgresql.".Length..^".v1".Length]));
        Assert.All(stored, message => Assert.Equal((message.Id, "application/cloudevents+json"), (JsonElement.Parse(message.Body).GetProperty("id").GetString(), message.Headers["content-type"].ToString())));
        Assert.Equal(
            [1, 2],
            stored.Where(message => message.Subject == "postgres.public.t.insert").Select(message => JsonElement.Parse(message.Body).GetProperty("data").GetProperty("Insert").GetProperty("new_tuple").GetProperty("id").GetInt32()));
        var time = JsonElement.Parse(stored[0].Body).GetProperty("time").GetDateTimeOffset();
        Assert.InRange(TimeProvider.System.GetUtcNow() - time, TimeSpan.Zero, TimeSpan.FromMinutes(10));
    }

    private static IEnumerable<CapturedEvent> Read(string path)
    {
        using var file = File.OpenRead(path);
        while (file.Position < file.Length)
        {
            yield return CapturedEvent.Parser.ParseDelimitedFrom(file);
        }
    }
}
