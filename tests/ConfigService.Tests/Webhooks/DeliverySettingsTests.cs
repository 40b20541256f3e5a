using System.Net;

namespace RuleEngineNats.ConfigService.Tests.Webhooks;

[Collection(nameof(RunningService))]
[Trait("Category", "Servers")]
public sealed class DeliverySettingsTests(RunningService service)
{
    [Fact]
    public async Task Settings_are_shown_and_changed_one_by_one()
    {
        var (id, _, _) = await service.RegisterAsync();
        var path = $"/api/v1/webhooks/{id}/delivery";
        Assert.Equal(8, (await service.GetAsync(path)).Number("maxConcurrency"));

        var changed = await service.PatchAsync(path, """{"retrySchedule":[1,60],"rateLimit":0.5,"disableAfterSeconds":null}""");
        Assert.Equal(HttpStatusCode.OK, changed.Status);
        Assert.Equal("[1,60]|0.5||8", $"{changed.Json["retrySchedule"]!.ToJsonString()}|{changed.Json["rateLimit"]}|{changed.Json["disableAfterSeconds"]}|{changed.Json["maxConcurrency"]}");
        Assert.Equal(changed.Body, (await service.GetAsync(path)).Body);
    }

    [Fact]
    public async Task What_is_sent_is_a_setting_with_numbers_as_they_are_written()
    {
        var (id, _, _) = await service.RegisterAsync();
        var path = $"/api/v1/webhooks/{id}/delivery";
        Assert.Equal("|||identity|binary", Payload(await service.GetAsync(path)));
        var changed = await service.PatchAsync(
            path, """{"payloadTemplate":{"n":9007199254740993,"text":"{{name}}"},"contentFilter":"$.amount > 1","contentEncoding":"gzip","cloudeventsMode":"structured"}""");
        Assert.Equal(HttpStatusCode.OK, changed.Status);
        Assert.Equal("""|{"n":9007199254740993,"text":"{{name}}"}|($."amount" > 1)|gzip|structured""", Payload(changed));
        Assert.Equal("||($.\"amount\" > 1)|gzip|structured", Payload(await service.PatchAsync(path, """{"payloadTemplate":null}""")));
        Assert.Equal(
            "content_filter: .size() is not supported",
            (await service.PatchAsync(path, """{"contentFilter":"$.a.size() > 1"}""")).IsProblem(400, "invalid_value").Errors()["contentFilter"].Message);
        Assert.Equal(
            "payload_template: no placeholder at character 3 of /a",
            (await service.PatchAsync(path, """{"payloadTemplate":{"a":"x {{}}"}}""")).IsProblem(400, "invalid_value").Errors()["payloadTemplate"].Message);

        static string Payload(Answer answer)
            => $"|{answer.Json["payloadTemplate"]?.ToJsonString()}|{answer.Json["contentFilter"]}|{answer.Json["contentEncoding"]}|{answer.Json["cloudeventsMode"]}";
    }

    [Fact]
    public async Task What_cannot_be_is_refused_with_the_name_of_the_setting()
    {
        var (id, _, _) = await service.RegisterAsync();
        var path = $"/api/v1/webhooks/{id}/delivery";
        Assert.Equal(("invalid_value", "max_concurrency: 0 is not 1 to 256", null), (await service.PatchAsync(path, """{"maxConcurrency":0}""")).IsProblem(400, "invalid_value").Errors()["maxConcurrency"]);
        Assert.Equal("signature_profile: must be standard, github, stripe or none", (await service.PatchAsync(path, """{"signatureProfile":"hub"}""")).IsProblem(400, "invalid_value").Errors()["signatureProfile"].Message);
        Assert.Equal("auth_type: must be none, basic, bearer, oauth2 or mtls", (await service.PatchAsync(path, """{"authType":"digest"}""")).IsProblem(400, "invalid_value").Errors()["authType"].Message);
        (await service.PatchAsync(path, """{"authType":null}""")).IsProblem(400, "required");
        var problem = (await service.PatchAsync(path, """{"retrySchedule":"often","colour":1}""")).IsProblem(400, "validation_failed");
        Assert.Equal(("wrong_type", "must be an array of integers", null), problem.Errors()["retrySchedule"]);
        Assert.Equal("unknown_field", problem.Errors()["colour"].Code);
        (await service.GetAsync("/api/v1/webhooks/nobody/delivery")).IsProblem(404, "webhook_not_found");
        (await service.PatchAsync("/api/v1/webhooks/nobody/delivery", "{}")).IsProblem(404, "webhook_not_found");
    }
}
