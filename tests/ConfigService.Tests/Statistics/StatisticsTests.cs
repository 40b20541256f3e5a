using System.Net;
using System.Text.Json.Nodes;

namespace RuleEngineNats.ConfigService.Tests.Statistics;

[Collection(nameof(RunningService))]
[Trait("Category", "Servers")]
public sealed class StatisticsTests(RunningService service)
{
    [Fact]
    public async Task Publishes_are_counted_by_their_outcome()
    {
        var (id, name, _) = await service.RegisterAsync();
        await service.PostAsync($"/api/v1/webhooks/{id}/enable-nats", """{"publishMode":"nats"}""");
        for (var number = 0; number < 3; number++)
        {
            await service.ScalarAsync<object>("SELECT rule_webhook_publish_nats($1, '{\"a\":1}')", id);
        }

        var ids = await service.ScalarAsync<long[]>("SELECT array_agg(publish_id ORDER BY publish_id) FROM rule_nats_publish_history WHERE webhook_id = $1", id);
        await service.ScalarAsync<object>("SELECT rule_nats_mark_stored(ARRAY[$1], ARRAY['WEBHOOKS'], ARRAY[7::bigint], ARRAY[false], ARRAY[2.5::numeric])", ids[0]);
        await service.ScalarAsync<object>("SELECT rule_nats_mark_refused(ARRAY[$1], ARRAY['too large'])", ids[1]);

        var statistics = await service.GetAsync($"/api/v1/publish-statistics?webhookId={id}&hours=1");
        Assert.Equal(HttpStatusCode.OK, statistics.Status);
        Assert.Equal((3, 1, 1, 1), (statistics.Number("totalPublished"), statistics.Number("successful"), statistics.Number("failed"), statistics.Number("pending")));
        Assert.Equal(50, statistics.Json["successRatePct"]!.GetValue<double>());
        Assert.Equal(2.5, statistics.Json["p99LatencyMs"]!.GetValue<double>());
        Assert.Equal((1, 1), (statistics.Number("uniqueSubjects"), statistics.Number("timeRangeHours")));
        Assert.True((await service.GetAsync("/api/v1/publish-statistics")).Number("totalPublished") >= 3);

        var summary = await ItemAsync("publish-statistics/webhooks", "webhookId", id);
        Assert.Equal((3, 1, 1, 1), (summary["totalPublished"]!.GetValue<int>(), summary["successful"]!.GetValue<int>(), summary["failed"]!.GetValue<int>(), summary["pending"]!.GetValue<int>()));
        Assert.Equal($"webhooks.{name}", summary["subject"]!.GetValue<string>());

        var latency = await ItemAsync("publish-statistics/latencies", "name", name);
        Assert.Equal(2.5, latency["p50LatencyMs"]!.GetValue<double>());

        var failure = await ItemAsync("publish-statistics/failures", "publishId", ids[1]);
        Assert.Equal("too large", failure["error"]!.GetValue<string>());
        Assert.Null(failure["payload"]);
    }

    [Fact]
    public async Task Statistics_of_a_webhook_without_publishes_are_zero_and_null()
    {
        var (id, _, _) = await service.RegisterAsync();
        var statistics = await service.GetAsync($"/api/v1/publish-statistics?webhookId={id}");
        Assert.Equal((0, 24), (statistics.Number("totalPublished"), statistics.Number("timeRangeHours")));
        Assert.Null(statistics.Json["successRatePct"]);
        Assert.Null(statistics.Json["avgLatencyMs"]);
    }

    [Fact]
    public async Task Calls_are_summed_up_by_webhook()
    {
        var (id, name, _) = await service.RegisterAsync();
        await service.ScalarAsync<long>("SELECT rule_webhook_enqueue($1, '{\"a\":1}')", id);
        var summary = await ItemAsync("delivery-statistics", "webhookId", id);
        Assert.Equal(name, summary["name"]!.GetValue<string>());
        Assert.Equal((1, 1), (summary["totalCalls"]!.GetValue<int>(), summary["pendingCalls"]!.GetValue<int>()));
    }

    [Theory]
    [InlineData("hours=0", "hours", "out_of_range")]
    [InlineData("hours=-5", "hours", "out_of_range")]
    [InlineData("hours=8761", "hours", "out_of_range")]
    [InlineData("hours=1000000000", "hours", "out_of_range")]
    [InlineData("hours=1.5", "hours", "wrong_type")]
    [InlineData("hours=", "hours", "wrong_type")]
    [InlineData("webhookId=0", "webhookId", "out_of_range")]
    [InlineData("webhookId=2147483648", "webhookId", "out_of_range")]
    [InlineData("webhookId=slack", "webhookId", "wrong_type")]
    public async Task A_parameter_out_of_bounds_is_refused(string query, string field, string code)
        => Assert.Equal(code, (await service.GetAsync($"/api/v1/publish-statistics?{query}")).IsProblem(400, code).Errors()[field].Code);

    [Fact]
    public async Task Both_parameters_are_reported_at_once()
        => Assert.Equal(2, (await service.GetAsync("/api/v1/publish-statistics?hours=0&webhookId=x")).IsProblem(400, "validation_failed").Errors().Count);

    [Fact]
    public async Task Statistics_of_an_unknown_webhook_are_not_found()
        => (await service.GetAsync("/api/v1/publish-statistics?webhookId=2147483647")).IsProblem(404, "webhook_not_found");

    private async Task<JsonNode> ItemAsync<T>(string path, string key, T value)
    {
        var answer = await service.GetAsync($"/api/v1/{path}");
        Assert.Equal(HttpStatusCode.OK, answer.Status);
        return answer.Json["items"]!.AsArray().Single(item => item![key]!.GetValue<T>()!.Equals(value))!;
    }
}
