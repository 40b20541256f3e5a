using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Google.Protobuf;
using Grpc.Core;
using Npgsql;
using RuleEngineNats.Contracts;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.Reliability.Tests;

/// <summary>I35: a hostile subject is refused at SQL, gRPC and REST, by the same words, and reaches no server.</summary>
[Trait("Category", "Servers")]
[Collection(SharedGraphCollection.Name)]
public sealed class HostileSubjectTests(SharedGraph shared)
{
    private static readonly HttpClient Http = new();

    public static TheoryData<string, string> Subjects => HostileSubjects.All;

    private ServiceGraph Graph => shared.Graph;

    [Theory]
    [MemberData(nameof(Subjects))]
    public async Task I35_a_hostile_subject_is_refused_by_every_edge_in_the_same_words(string subject, string message)
    {
        Assert.Equal(message, await RefusalOfSqlAsync(subject));
        Assert.Equal(message, await RefusalOfGrpcAsync(subject));
        Assert.Equal(message, await RefusalOfRestAsync(subject));
    }

    [Fact]
    public async Task I35_a_NUL_is_refused_by_every_edge()
    {
        const string Subject = "webhooks.a\0b";
        const string Message = "subject: control character at byte 10";

        // PostgreSQL has no text with a NUL in it: the server refuses the parameter itself.
        var refusal = await Assert.ThrowsAsync<PostgresException>(() => RefusalOfSqlAsync(Subject));
        Assert.Equal("22021", refusal.SqlState);
        Assert.Equal(Message, await RefusalOfGrpcAsync(Subject));
        // And REST has no JSON with one: it names the byte of the body.
        using var response = await EnableAsync(await WebhookAsync(), Subject);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        var problem = await response.Content.ReadFromJsonAsync<JsonElement>();
        Assert.Matches("NUL.* at byte [0-9]+$", problem.GetProperty("detail").GetString());
    }

    [Fact]
    public async Task I35_a_subject_of_exactly_255_bytes_is_published()
    {
        var subject = "webhooks." + new string('a', 246);
        var answer = await shared.Publisher.PublishAsync(
            new() { Subject = subject, Payload = ByteString.CopyFromUtf8("{}") }, deadline: Deadline.Of(TimeSpan.FromSeconds(20)));
        Assert.Equal((StreamNames.Webhooks, subject), (answer.Stream, answer.Subject));
    }

    [Fact]
    public async Task I35_a_subject_that_no_stream_has_is_PERMISSION_DENIED()
    {
        var refusal = await Assert.ThrowsAsync<RpcException>(async () => await shared.Publisher.PublishAsync(
            new() { Subject = "other.prefix.x", Payload = ByteString.CopyFromUtf8("{}") }, deadline: Deadline.Of(TimeSpan.FromSeconds(20))));
        Assert.Equal((StatusCode.PermissionDenied, "SUBJECT_NOT_ALLOWED"), (refusal.StatusCode, Refusal.Of(refusal).Reason));
    }

    // An endpoint keeps the subject it has: neither the function nor a plain UPDATE lets a hostile one in.
    private async Task<string> RefusalOfSqlAsync(string subject)
    {
        var webhook = await WebhookAsync();
        var byUpdate = await Assert.ThrowsAsync<PostgresException>(
            () => Graph.ScalarAsync<int>("UPDATE rule_webhooks SET nats_subject = $2 WHERE webhook_id = $1 RETURNING webhook_id", [webhook.Id, subject]));
        var byFunction = await Assert.ThrowsAsync<PostgresException>(
            () => Graph.ScalarAsync<bool>("SELECT rule_webhook_enable_nats($1, $2)", [webhook.Id, subject]));
        if (byFunction.SqlState == "22021")
        {
            throw byFunction;
        }

        Assert.Equal((PostgresErrorCodes.InvalidParameterValue, byFunction.MessageText), (byFunction.SqlState, byUpdate.MessageText));
        Assert.Equal(webhook.Subject, await Graph.ScalarAsync<string>("SELECT nats_subject FROM rule_webhooks WHERE webhook_id = $1", [webhook.Id]));
        return byFunction.MessageText;
    }

    private async Task<string> RefusalOfGrpcAsync(string subject)
    {
        var refusal = await Assert.ThrowsAsync<RpcException>(async () => await shared.Publisher.PublishAsync(
            new() { Subject = subject, Payload = ByteString.CopyFromUtf8("{}") }, deadline: Deadline.Of(TimeSpan.FromSeconds(20))));
        Assert.Equal(StatusCode.InvalidArgument, refusal.StatusCode);
        var (field, description) = Assert.Single(Refusal.Of(refusal).Violations);
        Assert.Equal("subject", field);
        return description;
    }

    private async Task<string> RefusalOfRestAsync(string subject)
    {
        var webhook = await WebhookAsync();
        using var response = await EnableAsync(webhook, subject);
        Assert.Equal((HttpStatusCode.BadRequest, "application/problem+json"), (response.StatusCode, response.Content.Headers.ContentType?.MediaType));
        var problem = await response.Content.ReadFromJsonAsync<JsonElement>();
        var error = Assert.Single(problem.GetProperty("errors").EnumerateArray());
        Assert.Equal("subject", error.GetProperty("field").GetString());
        Assert.Equal(webhook.Subject, await Graph.ScalarAsync<string>("SELECT nats_subject FROM rule_webhooks WHERE webhook_id = $1", [webhook.Id]));
        return error.GetProperty("message").GetString()!;
    }

    private Task<HttpResponseMessage> EnableAsync(GraphWebhook webhook, string subject)
        => Http.PostAsJsonAsync(new Uri(Graph.Config.HttpUrl, $"/api/v1/webhooks/{webhook.Id}/enable-nats"), new { subject });

    private Task<GraphWebhook> WebhookAsync() => Graph.RegisterAsync("hostile");
}
