using System.Text.Json;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.IngestionTool.Tests.Servers;

/// <summary>What became of documents: --wait, status and dead-letters, with rows as a worker writes them.</summary>
[Trait("Category", "Servers")]
[Collection(SharedApi.Name)]
public sealed class QueryTests(RunningApi api) : IAsyncLifetime
{
    private readonly TemporaryFolder _folder = TemporaryFolder.Create("query-");
    private readonly string _entity = $"E{Guid.NewGuid():N}";

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await _folder.DisposeAsync();

    [Fact]
    public async Task A_load_that_waits_counts_what_is_completed_and_names_the_dead_letters()
    {
        await File.WriteAllLinesAsync(Path.Combine(_folder.Path, "f.ndjson"), Enumerable.Range(1, 10).Select(line => $"{line}"));
        await using var tool = Tool.Start(_folder.Path, "load", "f.ndjson", "--url", api.Url, "--batch", "4", "--ids", "ids", "--wait", "--json");
        await Wait.UntilAsync(() => tool.HasExited || Complete("f.ndjson"), "all lines have their verdicts");
        var ids = File.ReadAllLines(Path.Combine(_folder.Path, "ids")).Select(line => Guid.Parse(line.Split('\t')[1])).ToArray();
        foreach (var (id, index) in ids.Select((id, index) => (id, index)))
        {
            Assert.False(tool.HasExited, tool.Log);
            await api.ExecuteAsync("INSERT INTO message_status (message_id, received_at, processed_at, status) VALUES ($1, now(), now(), $2)", id, index is 3 or 7 ? "dlq" : "completed");
        }

        var ended = await tool.EndedAsync();
        Assert.Equal((1, 10, 8, 2, 0), (ended.Code, ended["accepted"], ended["completed"], ended["dlq"], ended["expired"]));
        Assert.Equal([ids[3].ToString(), ids[7].ToString()], ended.Json().GetProperty("dlq_ids").EnumerateArray().Select(id => id.GetString()).Order(Comparer<string?>.Create((a, b) => Array.IndexOf(ids, Guid.Parse(a!)) - Array.IndexOf(ids, Guid.Parse(b!)))));
        // The table for people, of the same load again.
        var table = await RunAsync("load", "f.ndjson", "--batch", "4", "--wait");
        Assert.Matches(@"accepted +10\n.*replayed +0\n +completed +8\n +dead letters +2   \S+, \S+\n +expired +0\n", table.Output);
    }

    [Fact]
    public async Task The_status_of_ids_is_shown_and_one_that_nobody_got_is_said()
    {
        await File.WriteAllTextAsync(Path.Combine(_folder.Path, "f.ndjson"), "{}\n");
        await RunAsync("load", "f.ndjson", "--ids", "ids");
        var id = File.ReadAllText(Path.Combine(_folder.Path, "ids")).Trim().Split('\t')[1];
        var ended = await RunAsync("status", id, "--json");
        Assert.Equal((0, "accepted"), (ended.Code, ended.Json()[0].GetProperty("status").GetString()));
        Assert.Matches($@"MESSAGE_ID +STATUS .*\n{id}  accepted ", (await RunAsync("status", id)).Output);

        var unknown = await RunAsync("status", id, Guid.NewGuid().ToString());
        Assert.Equal(1, unknown.Code);
        Assert.Contains("message_not_found", unknown.Log, StringComparison.Ordinal);
        Assert.Contains(id, unknown.Output, StringComparison.Ordinal);
        Assert.Equal(2, (await RunAsync("status", "no-uuid")).Code);
    }

    [Fact]
    public async Task Documents_since_a_time_are_listed_over_the_pages()
    {
        await api.ExecuteAsync(
            "INSERT INTO message_status (message_id, received_at, processed_at, status, entity_type) SELECT gen_random_uuid(), now() - g * interval '1 second', now(), 'completed', $1 FROM generate_series(1, 1500) g", _entity);
        Assert.Equal(1500, (await RunAsync("status", "--since", "1h", "--entity", _entity, "--limit", "5000", "--json")).Json().GetArrayLength());
        var some = await RunAsync("status", "--since", "1h", "--entity", _entity, "--limit", "1200", "--json");
        Assert.Equal(1200, some.Json().GetArrayLength());
        Assert.Contains("there are more", some.Log, StringComparison.Ordinal);
        Assert.Equal(0, (await RunAsync("status", "--since", "1h", "--status", "failed", "--entity", _entity, "--json")).Json().GetArrayLength());
    }

    [Fact]
    public async Task Dead_letters_are_listed_shown_and_sent_again()
    {
        var id = await api.DeadLetterAsync(Guid.NewGuid().ToString(), "{\"n\":1}", _entity);
        var listed = Assert.Single((await RunAsync("dead-letters", "list", "--entity", _entity, "--json")).Json().EnumerateArray());
        Assert.Equal((id, "invalid_document"), (listed.GetProperty("message_id").GetString(), listed.GetProperty("error_code").GetString()));
        var shown = await RunAsync("dead-letters", "show", id);
        Assert.Matches(@"document +\{""n"":1\}", shown.Output);
        Assert.Equal("{\"n\":1}", (await RunAsync("dead-letters", "show", id, "--json")).Json().GetProperty("document").GetRawText());

        await File.WriteAllTextAsync(Path.Combine(_folder.Path, "corrected.json"), $"{{\"n\":1,\"total\":2,\"of\":\"{_entity}\"}}");
        var sent = await RunAsync("dead-letters", "resubmit", id, "--file", "corrected.json", "--json");
        Assert.Equal(0, sent.Code);
        var next = sent.Json().GetProperty("message_id").GetString();
        Assert.Equal(next, (await RunAsync("dead-letters", "resubmit", id, "--file", "corrected.json", "--json")).Json().GetProperty("message_id").GetString());
        Assert.Equal(next, Assert.Single(await api.StoredAsync("tests"), document => document.Body.Contains(_entity, StringComparison.Ordinal)).MessageId);
        var again = await RunAsync("dead-letters", "resubmit", id);
        Assert.Equal(2, again.Code);
        Assert.Contains(next!, again.Log, StringComparison.Ordinal);
        Assert.Equal(2, (await RunAsync("dead-letters", "show", Guid.NewGuid().ToString())).Code);
    }

    [Fact]
    public async Task Dead_letters_that_match_are_sent_again_once()
    {
        for (var letter = 0; letter < 5; letter++)
        {
            await api.DeadLetterAsync(Guid.NewGuid().ToString(), $"{{\"of\":\"{_entity}\",\"n\":{letter}}}", _entity);
        }

        var dry = await RunAsync("dead-letters", "redrive", "--entity", _entity, "--dry-run", "--json");
        Assert.Equal(5, dry.Json().GetArrayLength());
        Assert.Empty(await OfEntityAsync());
        var first = (await RunAsync("dead-letters", "redrive", "--entity", _entity, "--limit", "2", "--json")).Json();
        Assert.Equal((2, 3), (first.GetProperty("resubmitted").GetInt32(), first.GetProperty("remaining").GetInt32()));
        var rest = (await RunAsync("dead-letters", "redrive", "--entity", _entity, "--since", "1h", "--json")).Json();
        Assert.Equal((3, 0), (rest.GetProperty("resubmitted").GetInt32(), rest.GetProperty("remaining").GetInt32()));
        Assert.Matches(@"sent again +0\n", (await RunAsync("dead-letters", "redrive", "--entity", _entity)).Output);
        Assert.Equal(5, (await OfEntityAsync()).Count);
        Assert.Equal(0, (await RunAsync("dead-letters", "redrive", "--entity", _entity, "--dry-run", "--json")).Json().GetArrayLength());

        async Task<List<Stored>> OfEntityAsync() => [.. (await api.StoredAsync("tests")).Where(document => document.Body.Contains(_entity, StringComparison.Ordinal))];
    }

    private Task<Ended> RunAsync(params string[] arguments) => Tool.RunAsync(_folder.Path, [.. arguments, "--url", api.Url]);

    private bool Complete(string file)
    {
        var state = Path.Combine(_folder.Path, $"{file}.ingest-state");
        return File.Exists(state) && JsonSerializer.Deserialize<JsonElement>(File.ReadAllText(state)).GetProperty("complete").GetBoolean();
    }
}
