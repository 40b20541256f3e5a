using System.Diagnostics;
using System.Text.Json;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.IngestionTool.Tests.Servers;

/// <summary>Loads through an API that is killed, hangs, sheds, or loses its nats-server.</summary>
[Trait("Category", "Servers")]
public sealed class FaultTests : IAsyncLifetime
{
    private const string Source = "faults";
    private const int Lines = 10_000;

    private readonly TemporaryFolder _folder = TemporaryFolder.Create("faults-");
    private RunningApi? _api;

    public Task InitializeAsync()
        => File.WriteAllLinesAsync(Path.Combine(_folder.Path, "f.ndjson"), Enumerable.Range(1, Lines).Select(line => $"{{\"n\":{line}}}"));

    public async Task DisposeAsync()
    {
        await (_api?.DisposeAsync() ?? Task.CompletedTask);
        await _folder.DisposeAsync();
    }

    [Fact]
    public async Task The_api_is_killed_and_comes_back()
    {
        _api = await RunningApi.StartAsync();
        await using var tool = Start("--batch", "25", "--api-key", RunningApi.SlowKey);
        for (var kill = 1; kill <= 2; kill++)
        {
            await DoneAsync(tool, Lines / 4 * kill);
            await _api.Api.KillAsync();
            await _api.Api.RestartAsync();
        }

        await EachLineOnceAsync(await tool.EndedAsync());
    }

    [Fact]
    public async Task Nats_server_is_killed_and_comes_back()
    {
        _api = await RunningApi.StartAsync();
        await using var tool = Start("--batch", "25", "--api-key", RunningApi.SlowKey);
        await DoneAsync(tool, Lines / 4);
        await _api.Nats.KillAsync();
        await _api.Nats.RestartAsync();
        await EachLineOnceAsync(await tool.EndedAsync());
    }

    [Fact]
    public async Task The_api_hangs()
    {
        _api = await RunningApi.StartAsync();
        await using var tool = Start("--batch", "25", "--api-key", RunningApi.SlowKey, "--timeout", "1s");
        await DoneAsync(tool, Lines / 4);
        _api.Api.Pause();
        await Wait.UntilAsync(() => tool.Log.Contains("no whole answer within 1 s", StringComparison.Ordinal), "the load says that it waits");
        _api.Api.Resume();
        await EachLineOnceAsync(await tool.EndedAsync());
    }

    [Fact]
    public async Task An_interrupted_load_waits_two_seconds_for_an_api_that_hangs_and_goes_on_later()
    {
        _api = await RunningApi.StartAsync();
        await using (var tool = Start("--batch", "25", "--api-key", RunningApi.SlowKey))
        {
            await DoneAsync(tool, Lines / 4);
            _api.Api.Pause();
            var clock = Stopwatch.StartNew();
            Assert.Equal(130, await tool.TerminateAsync());
            // Its requests may take a minute.
            Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(20));
        }

        _api.Api.Resume();
        await using var again = Start("--batch", "25", "--api-key", RunningApi.SlowKey);
        await EachLineOnceAsync(await again.EndedAsync());
    }

    [Fact]
    public async Task The_api_sheds_what_is_above_its_rate()
    {
        _api = await RunningApi.StartAsync(("Ingestion__RequestsPerSecond", "10"));
        await using var tool = Start("--batch", "200", "--parallel", "8");
        var ended = await tool.EndedAsync();
        Assert.InRange(ended["retries"], 1, 10_000);
        await EachLineOnceAsync(ended);
    }

    [Fact]
    public async Task An_api_that_takes_fewer_lines_says_what_to_do()
    {
        _api = await RunningApi.StartAsync(("Ingestion__MaxLines", "100"));
        await using var tool = Start();
        var ended = await tool.EndedAsync();
        Assert.Equal(2, ended.Code);
        Assert.Contains("too_many_lines", ended.Log, StringComparison.Ordinal);
        Assert.Contains("--batch", ended.Log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_api_that_is_not_there_ends_the_load_when_the_patience_is_over_and_it_goes_on_later()
    {
        _api = await RunningApi.StartAsync();
        await _api.Api.KillAsync();
        await using (var tool = Start("--patience", "1s"))
        {
            var ended = await tool.EndedAsync();
            Assert.Equal(3, ended.Code);
            Assert.Contains("has answered nothing for 1 s", ended.Log, StringComparison.Ordinal);
        }

        await _api.Api.RestartAsync();
        await using var again = Start();
        await EachLineOnceAsync(await again.EndedAsync());
    }

    private Tool Start(params string[] further)
        => Tool.Start(_folder.Path, ["load", "f.ndjson", "--url", _api!.Url, "--source", Source, "--ids", "ids", "--json", .. further]);

    private async Task DoneAsync(Tool tool, long lines)
    {
        var state = Path.Combine(_folder.Path, "f.ndjson.ingest-state");
        await Wait.UntilAsync(
            () => tool.HasExited || (File.Exists(state) && JsonSerializer.Deserialize<JsonElement>(File.ReadAllText(state)).GetProperty("lines").GetInt64() >= lines), $"{lines} lines are done");
        Assert.False(tool.HasExited, tool.Log);
    }

    private async Task EachLineOnceAsync(Ended ended)
    {
        Assert.True(ended.Code == 0, ended.Log);
        Assert.Equal(Lines, ended["accepted"]);
        var stored = await _api!.StoredAsync(Source);
        Assert.Equal(Lines, stored.Count);
        Assert.Equal(Lines, stored.Select(document => document.Body).Distinct().Count());
        var ids = File.ReadLines(Path.Combine(_folder.Path, "ids")).Select(line => line.Split('\t')).ToDictionary(parts => parts[0], parts => parts[1]);
        Assert.Equal(ids.Values.Order(), stored.Select(document => document.MessageId).Order());
    }
}
