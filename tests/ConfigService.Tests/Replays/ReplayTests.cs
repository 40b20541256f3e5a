using System.Net;

namespace RuleEngineNats.ConfigService.Tests.Replays;

[Collection(nameof(RunningService))]
[Trait("Category", "Servers")]
public sealed class ReplayTests(RunningService service)
{
    [Fact]
    public async Task A_replay_is_started_shown_listed_and_cancelled()
    {
        var (id, name, _) = await service.RegisterAsync();
        await service.PostAsync($"/api/v1/webhooks/{id}/enable-nats", null);

        var started = await service.PostAsync(
            $"/api/v1/webhooks/{name}/replays", """{"from":"2030-01-01T02:00:00+02:00","toSequence":9,"status":["failed","missing"],"dryRun":true,"rate":2.5,"stream":"WEBHOOKS"}""");
        Assert.Equal(HttpStatusCode.Created, started.Status);
        var replay = started.Json["replayId"]!.GetValue<long>();
        Assert.Equal($"/api/v1/replays/{replay}", started.Location);
        var shown = await service.GetAsync(started.Location!);
        Assert.Equal(started.Body, shown.Body);
        Assert.Equal((name, "requested", 2.5, 0.0), (shown.Text("webhookName"), shown.Text("state"), shown.Json["rate"]!.GetValue<double>(), shown.Json["progressPct"]!.GetValue<double>()));
        Assert.Equal(DateTimeOffset.Parse("2030-01-01T00:00:00Z", null), shown.Json["fromTime"]!.GetValue<DateTimeOffset>());

        var second = (await service.PostAsync($"/api/v1/webhooks/{id}/replays", null)).Json["replayId"]!.GetValue<long>();
        var page = await service.GetAsync($"/api/v1/replays?webhook={id}&limit=1");
        Assert.Equal(second, Assert.Single(page.Json["items"]!.AsArray())!["replayId"]!.GetValue<long>());
        page = await service.GetAsync($"/api/v1/replays?webhook={id}&limit=1&before={page.Json["next"]}");
        Assert.Equal(replay, Assert.Single(page.Json["items"]!.AsArray())!["replayId"]!.GetValue<long>());
        Assert.Null(page.Json["next"]);

        Assert.Equal("cancelled", (await service.PostAsync($"/api/v1/replays/{replay}/cancel", null)).Text("state"));
        (await service.PostAsync($"/api/v1/replays/{replay}/cancel", null)).IsProblem(409, "conflict");
    }

    [Fact]
    public async Task What_cannot_be_replayed_is_refused()
    {
        var (id, _, _) = await service.RegisterAsync();
        (await service.PostAsync($"/api/v1/webhooks/{id}/replays", null)).IsProblem(409, "conflict");
        await service.PostAsync($"/api/v1/webhooks/{id}/enable-nats", null);
        (await service.PostAsync($"/api/v1/webhooks/{id}/replays", """{"stream":"NONE"}""")).IsProblem(404, "not_found");
        (await service.PostAsync("/api/v1/webhooks/nobody/replays", null)).IsProblem(404, "webhook_not_found");
        foreach (var (body, field) in new[]
        {
            ("""{"status":[]}""", "status"), ("""{"status":["lost"]}""", "status"), ("""{"fromSequence":0}""", "fromSequence"), ("""{"rate":0}""", "rate"),
            ("""{"from":"2030-01-02T00:00:00Z","to":"2030-01-01T00:00:00Z"}""", "to"), ("""{"from":"2030-01-02T00:00:00Z","fromSequence":1}""", "fromSequence"),
        })
        {
            var refused = await service.PostAsync($"/api/v1/webhooks/{id}/replays", body);
            Assert.Equal(HttpStatusCode.BadRequest, refused.Status);
            Assert.Equal([field], refused.Errors().Keys);
        }

        (await service.PostAsync($"/api/v1/webhooks/{id}/replays", """{"until":"now"}""")).IsProblem(400, "unknown_field");
        await service.PatchAsync($"/api/v1/webhooks/{id}", """{"enabled":false}""");
        (await service.PostAsync($"/api/v1/webhooks/{id}/replays", null)).IsProblem(409, "conflict");
        (await service.GetAsync("/api/v1/replays/x")).IsProblem(404, "not_found");
        (await service.GetAsync("/api/v1/replays/999999")).IsProblem(404, "not_found");
        (await service.PostAsync("/api/v1/replays/999999/cancel", null)).IsProblem(404, "not_found");
        (await service.GetAsync("/api/v1/replays?limit=0&before=0")).IsProblem(400, "validation_failed");
        (await service.GetAsync("/api/v1/replays?webhook=nobody")).IsProblem(404, "webhook_not_found");
    }
}
