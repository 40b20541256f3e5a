using System.Net;

namespace RuleEngineNats.ConfigService.Tests.DeadLetters;

[Collection(nameof(RunningService))]
[Trait("Category", "Servers")]
public sealed class DeadLetterTests(RunningService service)
{
    [Fact]
    public async Task Dead_letters_are_listed_shown_redriven_and_discarded()
    {
        var (id, name, _) = await service.RegisterAsync();
        var calls = await service.FailAsync(id, 4);

        var page = await service.GetAsync($"/api/v1/dead-letters?webhook={name}&limit=3&status=500&from=2030-01-01T00:00:00Z&to=2030-02-01T00:00:00%2B00:00");
        Assert.Equal(calls[..3], page.Json["items"]!.AsArray().Select(letter => letter!["callId"]!.GetValue<long>()));
        Assert.Equal(calls[2], page.Json["next"]!.GetValue<long>());
        Assert.Null(page.Json["items"]![0]!["payload"]);
        var last = await service.GetAsync($"/api/v1/dead-letters?webhook={id}&after={calls[2]}");
        Assert.Equal(calls[3], Assert.Single(last.Json["items"]!.AsArray())!["callId"]!.GetValue<long>());
        Assert.Null(last.Json["next"]);

        var letter = await service.GetAsync($"/api/v1/dead-letters/{calls[0]}");
        Assert.Equal((name, "Max retries exceeded: HTTP 500", 3, 500), (letter.Text("webhookName"), letter.Text("errorMessage"), letter.Number("attemptsMade"), letter.Number("responseStatus")));
        Assert.Equal(1, letter.Json["payload"]!["n"]!.GetValue<int>());
        Assert.Equal("failed", letter.Json["attempts"]![0]!["outcome"]!.GetValue<string>());

        Assert.Equal(HttpStatusCode.NoContent, (await service.PostAsync($"/api/v1/dead-letters/{calls[0]}/redrive", null)).Status);
        Assert.Equal("pending", await service.ScalarAsync<string>("SELECT status FROM rule_webhook_calls WHERE call_id = $1", calls[0]));
        (await service.PostAsync($"/api/v1/dead-letters/{calls[0]}/redrive", null)).IsProblem(409, "conflict");
        (await service.DeleteAsync($"/api/v1/dead-letters/{calls[0]}")).IsProblem(409, "conflict");
        (await service.GetAsync($"/api/v1/dead-letters/{calls[0]}")).IsProblem(404, "not_found");
        Assert.Equal(HttpStatusCode.NoContent, (await service.DeleteAsync($"/api/v1/dead-letters/{calls[1]}")).Status);
        (await service.DeleteAsync($"/api/v1/dead-letters/{calls[1]}")).IsProblem(404, "not_found");
    }

    [Fact]
    public async Task What_a_body_selects_is_redriven_or_discarded()
    {
        var (id, name, _) = await service.RegisterAsync();
        await service.FailAsync(id, 5);
        var redriven = await service.PostAsync($"/api/v1/webhooks/{name}/dead-letters/redrive", """{"responseStatus":500,"error":"Max retries","subject":"events.*","limit":2}""");
        Assert.Equal(2, redriven.Number("count"));
        Assert.Equal(0, (await service.PostAsync($"/api/v1/webhooks/{id}/dead-letters/discard", """{"to":"2029-01-01T00:00:00Z"}""")).Number("count"));
        Assert.Equal(3, (await service.PostAsync($"/api/v1/webhooks/{id}/dead-letters/discard", null)).Number("count"));
        Assert.Equal(2, await service.ScalarAsync<long>("SELECT count(*) FROM rule_webhook_calls WHERE webhook_id = $1 AND status = 'pending'", id));
    }

    [Fact]
    public async Task Dead_letters_of_a_deleted_webhook_are_there_and_nobody_is_left_to_send_them_to()
    {
        var (id, _, _) = await service.RegisterAsync();
        var call = Assert.Single(await service.FailAsync(id, 1));
        await service.DeleteAsync($"/api/v1/webhooks/{id}");
        Assert.Single((await service.GetAsync($"/api/v1/dead-letters?webhook={id}")).Json["items"]!.AsArray());
        var refused = (await service.PostAsync($"/api/v1/dead-letters/{call}/redrive", null)).IsProblem(409, "conflict");
        Assert.Equal($"Webhook was deleted: {id}", refused.Text("detail"));
        (await service.PostAsync($"/api/v1/webhooks/{id}/dead-letters/redrive", null)).IsProblem(404, "webhook_not_found");
    }

    [Fact]
    public async Task What_is_wrong_with_a_request_is_named()
    {
        var (id, _, _) = await service.RegisterAsync();
        var list = (await service.GetAsync("/api/v1/dead-letters?from=soon&to=later&status=99&limit=0&after=-1")).IsProblem(400, "validation_failed");
        Assert.Equal(["after", "from", "limit", "status", "to"], list.Errors().Keys.Order());
        (await service.GetAsync("/api/v1/dead-letters?webhook=nobody")).IsProblem(404, "webhook_not_found");
        (await service.GetAsync("/api/v1/dead-letters/x")).IsProblem(404, "not_found");
        (await service.PostAsync("/api/v1/dead-letters/9223372036854775807/redrive", null)).IsProblem(404, "not_found");
        (await service.PostAsync("/api/v1/webhooks/nobody/dead-letters/redrive", null)).IsProblem(404, "webhook_not_found");
        var body = (await service.PostAsync($"/api/v1/webhooks/{id}/dead-letters/redrive", """{"status":500,"from":"soon","subject":"a..b","limit":0,"responseStatus":99,"error":""}"""))
            .IsProblem(400, "validation_failed");
        Assert.Equal(["error", "from", "limit", "responseStatus", "status", "subject"], body.Errors().Keys.Order());
    }
}
