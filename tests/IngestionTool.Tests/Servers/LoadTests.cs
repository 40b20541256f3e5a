using System.Globalization;
using System.Text;
using System.Text.Json;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.IngestionTool.Tests.Servers;

/// <summary>Files through the real API into the real stream.</summary>
[Trait("Category", "Servers")]
[Collection(SharedApi.Name)]
public sealed class LoadTests(RunningApi api) : IAsyncLifetime
{
    private readonly TemporaryFolder _folder = TemporaryFolder.Create("load-");
    private readonly string _source = $"s{Guid.NewGuid():N}";

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await _folder.DisposeAsync();

    [Fact]
    public async Task Each_line_has_its_verdict_and_the_stream_what_was_accepted()
    {
        await WriteAsync("f.ndjson", "\uFEFF{\"n\":1}\r\n\n{\"n\":\n\"text\"\n  \n{\"n\":3, \"ü\":[1.50]}\nnot JSON\n{\"n\":4}");
        var ended = await LoadAsync("f.ndjson", "--batch", "2", "--ids", "f.ids");
        Assert.Equal(1, ended.Code);
        Assert.Equal((8, 4, 0, 2, 2), (ended["lines"], ended["accepted"], ended["replayed"], ended["rejected"], ended["blank"]));
        var code = ended.Json().GetProperty("rejected_by_code").GetProperty("invalid_json");
        Assert.Equal((2, "[3,7]"), (code.GetProperty("count").GetInt64(), JsonSerializer.Serialize(code.GetProperty("lines"))));

        var ids = Ids("f.ids");
        Assert.Equal([1, 4, 6, 8], ids.Keys.Order());
        var stored = (await api.StoredAsync(_source)).ToDictionary(document => document.MessageId, document => document.Body.TrimEnd('\r'));
        Assert.Equal(4, stored.Count);
        Assert.Equal(["{\"n\":1}", "\"text\"", "{\"n\":3, \"ü\":[1.50]}", "{\"n\":4}"], ids.OrderBy(id => id.Key).Select(id => stored[id.Value]));

        var rejected = Rejected("f.ndjson");
        Assert.Equal([(3, "{\"n\":"), (7, "not JSON")], rejected.Select(line => (line.GetProperty("line").GetInt64(), line.GetProperty("text").GetString())));
        Assert.All(rejected, line => Assert.NotEmpty(line.GetProperty("detail").GetString()!));
    }

    [Fact]
    public async Task A_last_line_that_was_cut_is_told_as_such()
    {
        await WriteAsync("cut.ndjson", "{\"n\":1}\n{\"n\":");
        Assert.Equal(1, (await LoadAsync("cut.ndjson")).Code);
        Assert.Equal("truncated", Assert.Single(Rejected("cut.ndjson")).GetProperty("code").GetString());
    }

    [Fact]
    public async Task Csv_becomes_documents_of_the_columns_types()
    {
        await WriteAsync("f.csv", "id,name,total,items\n1,\"A \"\"b\"\"\",1.50,\"[{\"\"n\"\":1}]\"\n2,,,\n3,c,expensive,\n");
        var ended = await LoadAsync("f.csv", "--column", "id:integer", "--column", "total:float", "--column", "items:json");
        Assert.Equal((1, 2, 1), (ended.Code, ended["accepted"], ended["rejected"]));
        Assert.Equal(
            ["{\"id\":1,\"name\":\"A \\\"b\\\"\",\"total\":1.50,\"items\":[{\"n\":1}]}", "{\"id\":2,\"name\":\"\",\"total\":null,\"items\":null}"],
            (await api.StoredAsync(_source)).Select(document => document.Body).Order());
        Assert.Equal("invalid_value", Assert.Single(Rejected("f.csv")).GetProperty("code").GetString());
    }

    [Fact]
    public async Task A_load_that_is_done_is_not_done_again_and_a_restart_stores_nothing_twice()
    {
        await WriteLinesAsync("f.ndjson", 1000);
        Assert.Equal((0, 1000), Summary(await LoadAsync("f.ndjson")));
        var again = await LoadAsync("f.ndjson");
        Assert.Equal((0, 1000), Summary(again));
        Assert.Contains("all 1000 lines have their verdicts", again.Log, StringComparison.Ordinal);
        var restarted = await LoadAsync("f.ndjson", "--restart");
        Assert.Equal((0, 1000), Summary(restarted));
        Assert.Equal(1000, restarted["replayed"]);
        Assert.Equal(1000, (await api.StoredAsync(_source)).Count);

        Assert.Equal((0, 1000), Summary(await LoadAsync("f.ndjson", "--restart", "--run", "again")));
        Assert.Equal(2000, (await api.StoredAsync(_source)).Count);
    }

    [Fact]
    public async Task Rejected_lines_are_mended_and_loaded()
    {
        await WriteAsync("f.ndjson", "{\"n\":1}\n{\"n\":2\n");
        await LoadAsync("f.ndjson");
        var rejected = Path.Combine(_folder.Path, "f.ndjson.rejected.ndjson");
        await File.WriteAllTextAsync(rejected, (await File.ReadAllTextAsync(rejected)).Replace("\"text\":\"{\\\"n\\\":2\"", "\"document\":{\"n\":2}", StringComparison.Ordinal));
        Assert.Equal((0, 1), Summary(await LoadAsync("f.ndjson.rejected.ndjson")));
        Assert.Equal(["{\"n\":1}", "{\"n\":2}"], (await api.StoredAsync(_source)).Select(document => document.Body).Order());
    }

    [Fact]
    public async Task After_each_kill_the_load_goes_on_and_no_line_is_there_twice()
    {
        const int Lines = 10_000;
        await WriteLinesAsync("f.ndjson", Lines);
        string[] arguments = ["load", "f.ndjson", "--url", api.Url, "--source", _source, "--batch", "25", "--ids", "f.ids", "--api-key", RunningApi.SlowKey];
        for (var part = 1; part <= 3; part++)
        {
            await using var tool = Tool.Start(_folder.Path, arguments);
            await Wait.UntilAsync(() => tool.HasExited || DoneLines("f.ndjson") >= Lines / 5 * part, "the load is further");
            Assert.False(tool.HasExited, tool.Log);
            await tool.KillAsync();
        }

        var before = DoneLines("f.ndjson");
        var ended = await Tool.RunAsync(_folder.Path, [.. arguments, "--json"]);
        Assert.Contains($"goes on behind line {before}", ended.Log, StringComparison.Ordinal);
        Assert.Equal((0, Lines), Summary(ended));
        await EachLineOnceAsync("f.ids", Lines);
    }

    [Fact]
    public async Task Interrupted_it_says_how_to_go_on_and_csv_goes_on_too()
    {
        const int Lines = 10_000;
        await WriteAsync("f.csv", "n,text\n" + string.Concat(Enumerable.Range(1, Lines).Select(line => $"{line},\"a\nb\"\n")));
        string[] arguments = ["load", "f.csv", "--url", api.Url, "--source", _source, "--batch", "25", "--column", "n:integer", "--ids", "f.ids", "--api-key", RunningApi.SlowKey];
        await using (var tool = Tool.Start(_folder.Path, arguments))
        {
            await Wait.UntilAsync(() => tool.HasExited || DoneLines("f.csv") > 0, "the load has begun");
            Assert.Equal(130, await tool.TerminateAsync());
            Assert.Contains("the same command goes on behind them", tool.Log, StringComparison.Ordinal);
        }

        Assert.InRange(DoneLines("f.csv"), 1, 2 * Lines);
        Assert.Equal((0, Lines), Summary(await Tool.RunAsync(_folder.Path, [.. arguments, "--json"])));
        await EachLineOnceAsync("f.ids", Lines);
    }

    [Fact]
    public async Task A_file_that_changed_is_not_gone_on_with()
    {
        await WriteLinesAsync("f.ndjson", 10);
        await LoadAsync("f.ndjson");
        await WriteLinesAsync("f.ndjson", 11);
        var refused = await LoadAsync("f.ndjson");
        Assert.Equal(2, refused.Code);
        Assert.Contains("--restart", refused.Log, StringComparison.Ordinal);
        Assert.Equal(10, (await api.StoredAsync(_source)).Count);
        Assert.Equal((0, 11), Summary(await LoadAsync("f.ndjson", "--restart")));
    }

    [Fact]
    public async Task Compressed_it_is_the_same()
    {
        await WriteLinesAsync("f.ndjson", 2000);
        Assert.Equal((0, 2000), Summary(await LoadAsync("f.ndjson", "--gzip", "--ids", "f.ids")));
        await EachLineOnceAsync("f.ids", 2000);
    }

    [Fact]
    public async Task Lines_that_are_too_long_are_rejected_and_the_others_are_not()
    {
        await WriteAsync("f.ndjson", $"{{\"n\":1}}\n\"{new string('x', 300 * 1024)}\"\n\"{new string('y', 5 * 1024 * 1024)}\"\n{{\"n\":2}}\n");
        var ended = await LoadAsync("f.ndjson");
        Assert.Equal((1, 2), Summary(ended));
        Assert.Equal("[2,3]", JsonSerializer.Serialize(ended.Json().GetProperty("rejected_by_code").GetProperty("too_large").GetProperty("lines")));
    }

    [Fact]
    public async Task Memory_does_not_grow_with_the_input()
    {
        await using (var file = new StreamWriter(Path.Combine(_folder.Path, "f.ndjson")))
        {
            // One line of 200 MB among others, and 40 MB of lines that are refused.
            var block = new string('x', 1_000_000);
            for (var million = 0; million < 200; million++)
            {
                await file.WriteAsync(block);
            }

            for (var line = 0; line < 400; line++)
            {
                await file.WriteAsync($"\n{block.AsMemory(0, 100_000)}");
            }
        }

        await using var tool = Tool.Start(_folder.Path, "load", "f.ndjson", "--url", api.Url, "--json");
        var peak = 0L;
        await Wait.UntilAsync(() =>
        {
            peak = Math.Max(peak, PeakMegabytes(tool.Id) ?? peak);
            return tool.HasExited;
        }, "the load is done");
        Assert.Equal((1, 0), Summary(await tool.EndedAsync()));
        Assert.InRange(peak, 1, 160);
    }

    [Fact]
    public async Task Standard_input_is_loaded_and_goes_on_where_it_has_a_state()
    {
        await WriteLinesAsync("f", 100);
        var input = Path.Combine(_folder.Path, "f");
        string[] arguments = ["load", "-", "--url", api.Url, "--source", _source, "--json"];
        Assert.Equal((0, 100), Summary(await Tool.PipeAsync(_folder.Path, input, arguments)));
        Assert.Equal((0, 100), Summary(await Tool.PipeAsync(_folder.Path, input, [.. arguments, "--state", "s"])));
        Assert.Equal(200, (await api.StoredAsync(_source)).Count);
        var again = await Tool.PipeAsync(_folder.Path, input, [.. arguments, "--state", "s"]);
        Assert.Contains("have their verdicts", again.Log, StringComparison.Ordinal);
        Assert.Equal(200, (await api.StoredAsync(_source)).Count);
    }

    [Fact]
    public async Task What_the_api_refuses_as_a_whole_ends_the_load_with_its_words()
    {
        await WriteLinesAsync("f.ndjson", 10);
        var refused = await LoadAsync("f.ndjson", "--entity", "no entity!");
        Assert.Equal(2, refused.Code);
        Assert.Contains("422", refused.Log, StringComparison.Ordinal);
        Assert.Empty(await api.StoredAsync(_source));
    }

    private static (int, long) Summary(Ended ended) => (ended.Code, ended["accepted"]);

    private static long? PeakMegabytes(int process)
    {
        var line = File.Exists($"/proc/{process}/status") ? File.ReadLines($"/proc/{process}/status").FirstOrDefault(line => line.StartsWith("VmHWM", StringComparison.Ordinal)) : null;
        return line is null ? null : long.Parse(line.Split(':')[1].Replace("kB", "", StringComparison.Ordinal), CultureInfo.InvariantCulture) / 1024;
    }

    private Task<Ended> LoadAsync(string file, params string[] further)
        => Tool.RunAsync(_folder.Path, ["load", file, "--url", api.Url, "--source", _source, "--json", .. further]);

    private Task WriteAsync(string file, string text) => File.WriteAllTextAsync(Path.Combine(_folder.Path, file), text, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false));

    private Task WriteLinesAsync(string file, int lines) => WriteAsync(file, string.Concat(Enumerable.Range(1, lines).Select(line => $"{{\"n\":{line}}}\n")));

    private List<JsonElement> Rejected(string file)
        => [.. File.ReadLines(Path.Combine(_folder.Path, $"{file}.rejected.ndjson")).Select(line => JsonSerializer.Deserialize<JsonElement>(line))];

    private Dictionary<long, string> Ids(string file)
        => File.ReadLines(Path.Combine(_folder.Path, file)).Select(line => line.Split('\t')).ToDictionary(parts => long.Parse(parts[0], CultureInfo.InvariantCulture), parts => parts[1]);

    // Every line has one id, and the stream has each of these once and nothing else.
    private async Task EachLineOnceAsync(string ids, int lines)
    {
        var returned = Ids(ids);
        var stored = await api.StoredAsync(_source);
        Assert.Equal((lines, lines), (returned.Count, stored.Count));
        Assert.Equal(lines, stored.Select(document => document.Body).Distinct().Count());
        Assert.Equal(returned.Values.Order(), stored.Select(document => document.MessageId).Order());
    }

    private long DoneLines(string file)
    {
        var state = Path.Combine(_folder.Path, $"{file}.ingest-state");
        return File.Exists(state) ? JsonSerializer.Deserialize<JsonElement>(File.ReadAllText(state)).GetProperty("lines").GetInt64() : 0;
    }
}
