using System.Net;
using System.Text.Json;

namespace RuleEngineNats.ConfigService.Tests.Webhooks;

/// <summary>The hostile subjects of reliability.md, section 4, at every place of this API that takes one.</summary>
[Collection(nameof(RunningService))]
[Trait("Category", "Servers")]
public sealed class SubjectTests(RunningService service)
{
    public static TheoryData<string, string> Hostile => new()
    {
        { "", "empty at byte 0" },
        { "a b", "whitespace at byte 1" },
        { " a", "whitespace at byte 0" },
        { "a\tb", "control character at byte 1" },
        { "a\r\nPUB x 0", "control character at byte 1" },
        { "a\u0001b", "control character at byte 1" },
        { "a\u007f", "control character at byte 1" },
        { "a..b", "empty token at byte 2" },
        { ".a", "empty token at byte 0" },
        { "a.", "empty token at byte 2" },
        { "$JS.API.STREAM.PURGE.X", "reserved at byte 0" },
        { "$SYS.REQ.SERVER.PING", "reserved at byte 0" },
        { "_INBOX.x", "reserved at byte 0" },
        { new string('a', 256), "longer than 255 bytes at byte 255" },
        { new string('a', 5000), "longer than 255 bytes at byte 255" },
        { string.Join('.', Enumerable.Repeat("a", 17)), "more than 16 tokens at byte 32" },
        { "ev.\u202Egnp", "character not in [A-Za-z0-9_-] at byte 3" },
        { "é.a", "character not in [A-Za-z0-9_-] at byte 0" },
        { "a/b", "character not in [A-Za-z0-9_-] at byte 1" },
    };

    public static TheoryData<string, string> HostileToPublish => new()
    {
        { "a.*", "wildcard at byte 2" },
        { "a.>", "wildcard at byte 2" },
        { "*", "wildcard at byte 0" },
        { ">", "wildcard at byte 0" },
    };

    public static TheoryData<string, string> HostileAsFilter => new()
    {
        { "a.b*", "wildcard at byte 3" },
        { "a.>.b", "wildcard at byte 2" },
        { "a*.b", "wildcard at byte 1" },
        { ">>", "wildcard at byte 0" },
    };

    [Theory]
    [MemberData(nameof(Hostile))]
    [MemberData(nameof(HostileToPublish))]
    public async Task A_hostile_subject_to_publish_to_is_refused_at_the_byte(string subject, string problem)
    {
        var (id, _, _) = await service.RegisterAsync();
        await RefusedAsync($"/api/v1/webhooks/{id}/enable-nats", new { subject }, HttpMethod.Post, "subject", problem);
        await RefusedAsync("/api/v1/connections/hostile", new { url = "nats://localhost", subjectPrefix = subject }, HttpMethod.Put, "subjectPrefix", problem);
        Assert.False((await service.GetAsync($"/api/v1/webhooks/{id}")).Json["natsEnabled"]!.GetValue<bool>());
        (await service.GetAsync("/api/v1/connections/hostile")).IsProblem(404, "connection_not_found");
    }

    [Theory]
    [MemberData(nameof(Hostile))]
    [MemberData(nameof(HostileAsFilter))]
    public async Task A_hostile_filter_is_refused_at_the_byte(string filter, string problem)
    {
        var name = RunningService.Unique("hostile");
        var stream = new { name, subjects = new[] { "fine." + name, filter } };
        await RefusedAsync("/api/v1/streams", stream, HttpMethod.Post, "subjects[1]", problem);
        await RefusedAsync("/api/v1/webhooks", new { name, url = "https://example.com", subjectFilter = filter }, HttpMethod.Post, "subjectFilter", problem);
        (await service.GetAsync($"/api/v1/webhooks/{name}")).IsProblem(404, "webhook_not_found");
        (await service.GetAsync($"/api/v1/streams/{name}")).IsProblem(404, "stream_not_found");
    }

    [Theory]
    [MemberData(nameof(Hostile))]
    [MemberData(nameof(HostileToPublish))]
    public async Task The_words_are_those_of_the_SQL_function(string subject, string problem)
    {
        var error = await Assert.ThrowsAsync<Npgsql.PostgresException>(() => service.ScalarAsync<string>("SELECT rule_nats_subject_check($1)", subject));
        Assert.Equal($"subject: {problem}", error.MessageText);
    }

    [Fact]
    public async Task A_NUL_in_a_subject_is_refused()
    {
        var (id, _, _) = await service.RegisterAsync();
        var problem = (await service.PostAsync($"/api/v1/webhooks/{id}/enable-nats", """{"subject":"a\u0000b"}""")).IsProblem(400, "invalid_json");
        Assert.Contains("NUL", problem.Text("detail"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Subjects_and_filters_at_the_limits_are_taken()
    {
        var (id, _, _) = await service.RegisterAsync();
        foreach (var subject in (string[])["a", "A-z_0.9", new string('a', 255), string.Join('.', Enumerable.Repeat("a", 16))])
        {
            Assert.Equal(HttpStatusCode.OK, (await service.PostAsync($"/api/v1/webhooks/{id}/enable-nats", JsonSerializer.Serialize(new { subject }))).Status);
        }

        foreach (var filter in (string[])["*", ">", "a.*.b", "a.>"])
        {
            Assert.Equal(HttpStatusCode.OK, (await service.PatchAsync($"/api/v1/webhooks/{id}", JsonSerializer.Serialize(new { subjectFilter = filter }))).Status);
        }
    }

    private async Task RefusedAsync(string path, object body, HttpMethod method, string field, string problem)
    {
        var answer = (await service.SendAsync(method, path, JsonSerializer.Serialize(body))).IsProblem(400, "invalid_subject");
        Assert.Equal($"subject: {problem}", answer.Errors()[field].Message);
        Assert.Equal($"subject: {problem}", answer.Text("detail"));
    }
}
