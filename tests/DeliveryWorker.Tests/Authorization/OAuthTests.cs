using Microsoft.AspNetCore.Http;
using RuleEngineNats.DeliveryWorker.Delivery;
using RuleEngineNats.DeliveryWorker.Routing;
using RuleEngineNats.DeliveryWorker.Tests.Delivery;
using RuleEngineNats.Messaging;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.DeliveryWorker.Tests.Authorization;

/// <summary>Client credentials against a token endpoint of the test; it gives token-1, token-2 and so on.</summary>
public sealed class OAuthTests : IAsyncLifetime
{
    private readonly SetTime _time = new();
    private readonly DeliveryClient _client = new(Requests.Local);
    private WebhookReceiver _receiver = null!;
    private PostWebhook _post = null!;

    public async Task InitializeAsync()
    {
        _post = Requests.Slice(_client, _time);
        _receiver = await WebhookReceiver.StartAsync();
        AnswerToken(count => $$"""{"access_token":"token-{{count}}","token_type":"Bearer","expires_in":3600}""");
    }

    public async Task DisposeAsync()
    {
        _client.Dispose();
        await _receiver.DisposeAsync();
    }

    [Fact]
    public async Task A_token_is_asked_for_as_RFC_6749_says_and_used_until_shortly_before_its_end()
    {
        var endpoint = Endpoint(further: ",\"scope\":\"hooks write\",\"audience\":\"https://api\"");
        await DeliverAsync(endpoint);
        _time.Now = _time.Now.AddSeconds(3569);
        await DeliverAsync(endpoint);
        _time.Now = _time.Now.AddSeconds(1);
        await DeliverAsync(endpoint);

        Assert.Equal(["Bearer token-1", "Bearer token-1", "Bearer token-2"], _receiver.At("/hook").Select(request => request.Headers["Authorization"]));
        var asked = _receiver.At("/token").First();
        Assert.Equal(("POST", "application/x-www-form-urlencoded", "grant_type=client_credentials&scope=hooks+write&audience=https%3A%2F%2Fapi"),
            (asked.Method, asked.Headers["Content-Type"], System.Text.Encoding.ASCII.GetString(asked.Body)));
        // client%3A1 and s%2Bcanary
        Assert.Equal("Basic Y2xpZW50JTNBMTpzJTJCY2FuYXJ5", asked.Headers["Authorization"]);
    }

    [Fact]
    public async Task However_many_need_a_token_at_once_share_one_fetch()
    {
        var all = new TaskCompletionSource();
        _receiver.Answer("/token", async (context, count) =>
        {
            await all.Task;
            await context.Response.WriteAsync($$"""{"access_token":"token-{{count}}"}""");
        });
        var endpoint = Endpoint();

        var attempts = Enumerable.Range(0, 50).Select(_ => DeliverAsync(endpoint)).ToArray();
        await _receiver.WaitForAsync(received => received.At("/token").Any(), "a fetch");
        all.SetResult();
        await Task.WhenAll(attempts);

        Assert.Single(_receiver.At("/token"));
        Assert.Equal(50, _receiver.At("/hook").Count(request => request.Headers["Authorization"] == "Bearer token-1"));
    }

    [Fact]
    public async Task A_401_of_the_receiver_brings_one_other_token()
    {
        _receiver.Answer("/hook", 401, 200);

        await DeliverAsync(Endpoint());

        Assert.Equal(["Bearer token-1", "Bearer token-2"], _receiver.At("/hook").Select(request => request.Headers["Authorization"]));
        Assert.Single(_receiver.At("/hook").Select(request => request.Id).Distinct());
    }

    [Fact]
    public async Task A_second_401_is_what_the_attempt_came_to()
    {
        _receiver.Answer("/hook", 401);

        var attempt = await SendAsync(Endpoint());

        Assert.Equal(new DeliveryOutcome.Rejected(401), attempt.Outcome);
        Assert.Equal(2, _receiver.At("/hook").Count());
        Assert.Equal(2, _receiver.At("/token").Count());
    }

    [Fact]
    public async Task A_401_without_another_token_to_be_had_stays_one()
    {
        _receiver.Answer("/hook", 401);
        _receiver.Answer("/token", async (context, count) =>
        {
            context.Response.StatusCode = count == 1 ? 200 : 500;
            await context.Response.WriteAsync("""{"access_token":"token-1"}""");
        });

        Assert.Equal(new DeliveryOutcome.Rejected(401), (await SendAsync(Endpoint())).Outcome);
        Assert.Single(_receiver.At("/hook"));
    }

    [Theory]
    [InlineData(401, """{"error":"invalid_client","error_description":"s+canary"}""", "the token endpoint answered 401 invalid_client")]
    [InlineData(400, """{"error":"s+canary"}""", "the token endpoint answered 400")]
    [InlineData(302, "", "the token endpoint answered 302")]
    [InlineData(500, "s+canary", "the token endpoint answered 500")]
    [InlineData(200, "s+canary", "the token endpoint gave no access_token")]
    [InlineData(200, "[]", "the token endpoint gave no access_token")]
    [InlineData(200, """{"access_token":""}""", "the token endpoint gave no access_token")]
    [InlineData(200, """{"access_token":"a\r\nX-Injected: 1"}""", "the token endpoint gave no access_token")]
    [InlineData(200, """{"access_token":"a","token_type":"mac"}""", "the token endpoint gave a token that is no bearer token")]
    public async Task Without_a_token_nothing_is_sent_and_nothing_secret_is_said(int status, string body, string reason)
    {
        _receiver.Answer("/token", (context, _) =>
        {
            context.Response.StatusCode = status;
            return body.Length == 0 ? Task.CompletedTask : context.Response.WriteAsync(body);
        });

        var attempt = await SendAsync(Endpoint());

        Assert.Equal("not_authorized: " + reason, attempt.Outcome.Error);
        Assert.False(attempt.Outcome.IsFinal);
        Assert.Empty(_receiver.At("/hook"));
    }

    [Fact]
    public async Task A_token_endpoint_that_failed_is_left_alone_for_a_second()
    {
        _receiver.Answer("/token", async (context, count) =>
        {
            context.Response.StatusCode = count == 1 ? 503 : 200;
            await context.Response.WriteAsync("""{"access_token":"a"}""");
        });
        var endpoint = Endpoint();

        Assert.Equal("not_authorized", (await SendAsync(endpoint)).Outcome.Code);
        Assert.Equal("not_authorized", (await SendAsync(endpoint)).Outcome.Code);
        Assert.Single(_receiver.At("/token"));
        _time.Now = _time.Now.AddSeconds(1);
        await DeliverAsync(endpoint);
        Assert.Equal(2, _receiver.At("/token").Count());
    }

    [Fact]
    public async Task A_token_url_that_leads_to_a_blocked_address_is_not_connected_to()
    {
        var guarded = new EgressOptions { AllowHttp = true, AllowAnyPort = true };
        using var client = new DeliveryClient(guarded, Requests.Resolving("127.0.0.1"));
        var endpoint = Endpoint(tokenUrl: $"http://token.example:{_receiver.Port}/token", egress: guarded);

        var attempt = await Requests.Slice(client).SendAsync(endpoint, Requests.Event(), 1, CancellationToken.None);

        Assert.Equal(new DeliveryOutcome.AddressBlocked(DeliveryStage.Prepare, "token_url: address is loopback"), attempt.Outcome);
        Assert.Empty(_receiver.Requests);
    }

    [Fact]
    public async Task A_token_endpoint_that_is_silent_ends_with_the_timeout_and_one_that_is_away_is_named()
    {
        _receiver.Answer("/token", (context, _) => Task.Delay(Timeout.Infinite, context.RequestAborted));
        var silent = await SendAsync(Endpoint() with { Timeout = TimeSpan.FromMilliseconds(200) });
        var away = await SendAsync(Endpoint(tokenUrl: $"http://127.0.0.1:{Ports.Free()}/"));

        Assert.Equal(new DeliveryOutcome.TimedOut(DeliveryStage.Connect, TimeSpan.FromMilliseconds(200)), silent.Outcome);
        Assert.Equal("not_authorized: the token endpoint gave no answer: connect failed: ConnectionRefused", away.Outcome.Error);
    }

    private void AnswerToken(Func<int, string> answer) => _receiver.Answer("/token", (context, count) => context.Response.WriteAsync(answer(count)));

    private Endpoint Endpoint(string? tokenUrl = null, string further = "", EgressOptions? egress = null)
        => Routes.ToEndpoint(
            new(7, "hook", _receiver.Url("/hook"), true)
            {
                Delivery = new() { AuthType = "oauth2" },
                Secrets = [new("auth", $$"""{"token_url":"{{tokenUrl ?? _receiver.Url("/token")}}","client_id":"client:1","client_secret":"s+canary"{{further}}}""", null, null)],
            },
            egress ?? Requests.Local, default) with
        { Target = TargetUrl.Check(_receiver.Url("/hook"), Requests.Local) };

    private Task<Attempt> SendAsync(Endpoint endpoint) => _post.SendAsync(endpoint, Requests.Event(), 1, CancellationToken.None);

    private async Task DeliverAsync(Endpoint endpoint) => Assert.Equal(new DeliveryOutcome.Delivered(200), (await SendAsync(endpoint)).Outcome);
}
