using System.Text;
using RuleEngineNats.IngestionApi.Tests.Messages;

namespace RuleEngineNats.IngestionApi.Tests.Batches;

/// <summary>Batches at their limits; the stream of the other tests stays short.</summary>
[Trait("Category", "Servers")]
public sealed class LargeBatchTests : IAsyncLifetime
{
    private const string Ndjson = "application/x-ndjson";
    private const int MostLines = 10_000;

    private IngestionService Api { get; set; } = null!;

    public async Task InitializeAsync() => Api = await IngestionService.StartAsync();

    public async Task DisposeAsync() => await Api.DisposeAsync();

    [Fact]
    public async Task Number_90_what_is_beyond_the_most_lines_has_one_verdict_and_those_before_it_stay()
    {
        var body = string.Concat(Enumerable.Range(1, MostLines + 500).Select(line => line + "\n"));
        var answer = (await Api.PostAsync("/ingest/batch", body, Ndjson)).Is(202);
        Assert.Equal((MostLines, 1, false), (answer.Number("inserted"), answer.Number("failed"), answer.Json["complete"]!.GetValue<bool>()));
        Assert.Equal(MostLines + 1, answer.Results.Length);
        Assert.Equal((MostLines + 1, "too_many_lines"), (answer.Results[^1]["line"]!.GetValue<int>(), answer.Results[^1]["code"]!.GetValue<string>()));
        Assert.Equal(MostLines, (await Api.PostAsync("/ingest/batch", string.Concat(Enumerable.Repeat("1\n", MostLines)) + "\n\n", Ndjson)).Is(202).Number("inserted"));
    }

    [Fact]
    public async Task A_batch_that_is_too_large_is_refused_and_lines_before_the_limit_stay_accepted()
    {
        (await Api.PostAsync("/ingest/batch", new byte[(8 * 1024 * 1024) + 1], Ndjson)).IsProblem(413, "too_large", "body");
        var line = "\"" + new string('x', 100_000) + "\"\n";
        var bomb = HostileDocumentTests.Gzip(Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat(line, 200))));
        var answer = (await Api.PostAsync("/ingest/batch", bomb, Ndjson, ("Content-Encoding", "gzip"))).Is(202);
        var fit = 8 * 1024 * 1024 / line.Length;
        Assert.Equal((fit, fit + 1, "too_large"), (answer.Number("inserted"), answer.Results[^1]["line"]!.GetValue<int>(), answer.Results[^1]["code"]!.GetValue<string>()));
        Assert.False(answer.Json["complete"]!.GetValue<bool>());
    }
}
