using RuleEngineNats.DeliveryWorker.Delivery;
using RuleEngineNats.DeliveryWorker.Routing;
using RuleEngineNats.DeliveryWorker.Tests.Delivery;
using RuleEngineNats.Messaging;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.DeliveryWorker.Tests.Authorization;

public sealed class AuthorizationTests : IAsyncLifetime
{
    private const string Oauth = "{\"token_url\":\"https://example.com/t\",\"client_id\":\"c-1\",\"client_secret\":\"s-canary\"}";

    private WebhookReceiver _receiver = null!;

    public async Task InitializeAsync() => _receiver = await WebhookReceiver.StartAsync();

    public async Task DisposeAsync() => await _receiver.DisposeAsync();

    [Theory]
    [InlineData("basic", "user:päss:word", "Basic dXNlcjpww6Rzczp3b3Jk")]
    [InlineData("bearer", "a.b-c_d~e+f/g==", "Bearer a.b-c_d~e+f/g==")]
    [InlineData("none", "a-token", "own")]
    public async Task The_secret_becomes_the_header_and_wins_over_the_endpoints_own(string type, string secret, string header)
    {
        var webhook = Webhook(type, secret) with { Headers = new Dictionary<string, string> { ["authorization"] = "own" } };

        var attempt = await SendAsync(webhook);

        Assert.Equal(new DeliveryOutcome.Delivered(200), attempt.Outcome);
        Assert.Equal(header, Assert.Single(_receiver.Requests).Headers["Authorization"]);
    }

    [Theory]
    [InlineData("basic")]
    [InlineData("bearer")]
    [InlineData("oauth2")]
    [InlineData("mtls")]
    public async Task Without_its_secret_nothing_is_sent_and_the_error_names_it(string type)
    {
        var attempt = await SendAsync(Webhook(type, null));

        Assert.Equal($"not_authorized: auth_type {type} needs the secret auth, which webhook 7 does not have", attempt.Outcome.Error);
        Assert.Equal(("not_authorized", DeliveryStage.Prepare, false), (attempt.Outcome.Code, attempt.Outcome.Stage, attempt.Outcome.IsFinal));
        Assert.Empty(_receiver.Requests);
    }

    [Theory]
    [InlineData("basic", "canary-without-colon", "auth of auth_type basic must be user:password without control characters")]
    [InlineData("basic", "canary:\r\nX-Injected: 1", "auth of auth_type basic must be user:password without control characters")]
    [InlineData("bearer", "canary with spaces", "auth of auth_type bearer must be a token of printable ASCII without spaces")]
    [InlineData("bearer", "canary\n", "auth of auth_type bearer must be a token")]
    [InlineData("bearer", "canäry", "auth of auth_type bearer must be a token")]
    [InlineData("oauth2", "canary", "auth of auth_type oauth2 must be a JSON object")]
    [InlineData("oauth2", "[\"canary\"]", "auth of auth_type oauth2 must be a JSON object")]
    [InlineData("oauth2", "{\"client_id\":\"canary\"}", "auth of auth_type oauth2 must have token_url, a string")]
    [InlineData("oauth2", "{\"token_url\":\"https://canary.example\",\"client_id\":5}", "auth of auth_type oauth2 must have client_id, a string")]
    [InlineData("oauth2", "{\"token_url\":\"https://canary.example\",\"client_id\":\"c\",\"client_secret\":\"\"}", "auth of auth_type oauth2 must have client_secret, a string")]
    [InlineData("oauth2", "{\"token_url\":\"https://canary@example.com\",\"client_id\":\"c\",\"client_secret\":\"s\"}", "auth of auth_type oauth2 has a token_url that is not allowed: url_not_allowed: user information")]
    [InlineData("oauth2", "{\"token_url\":\"http://169.254.169.254/canary\",\"client_id\":\"c\",\"client_secret\":\"s\"}", "has a token_url that is not allowed: url_not_allowed: address is linklocal")]
    [InlineData("mtls", "canary", "auth_type mtls needs an https URL")]
    [InlineData("digest", "canary", "auth_type digest is not known to this worker")]
    public async Task Credentials_of_another_form_are_refused_without_being_repeated(string type, string secret, string reason)
    {
        var attempt = await SendAsync(Webhook(type, secret));

        Assert.Equal("not_authorized", attempt.Outcome.Code);
        Assert.Contains(reason, attempt.Outcome.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("can", attempt.Outcome.Error!.Replace("not_authorized", "", StringComparison.Ordinal), StringComparison.OrdinalIgnoreCase);
        Assert.Empty(_receiver.Requests);
    }

    [Fact]
    public async Task A_secret_that_cannot_be_read_or_has_expired_authorizes_nothing()
    {
        var unreadable = Webhook("bearer", null) with { Secrets = [new("auth", string.Empty, "secret auth of webhook 7 cannot be decrypted with key main", null)] };
        var expired = Webhook("bearer", null) with { Secrets = [new("auth", "token", null, TimeProvider.System.GetUtcNow())] };

        Assert.Equal("not_authorized: secret auth of webhook 7 cannot be decrypted with key main", (await SendAsync(unreadable)).Outcome.Error);
        Assert.Equal("not_authorized: the secret auth has expired", (await SendAsync(expired)).Outcome.Error);
        Assert.Empty(_receiver.Requests);
    }

    [Theory]
    [InlineData("basic", "user:s-canary")]
    [InlineData("bearer", "s-canary")]
    [InlineData("oauth2", Oauth)]
    public void No_text_of_an_endpoint_has_a_secret_in_it(string type, string secret)
    {
        var endpoint = Routes.ToEndpoint(Webhook(type, secret) with { Secrets = [new("auth", secret, null, null), new("signing", "s-canary", null, null)] }, Requests.Local, default);

        Assert.Null(endpoint.Problem);
        Assert.DoesNotContain("s-canary", $"{endpoint} {endpoint.Authorization} {endpoint.Authorization.OAuth} {endpoint.SigningKeys[0]}", StringComparison.Ordinal);
    }

    private static async Task<Attempt> SendAsync(WebhookDefinition webhook)
    {
        using var client = new DeliveryClient(Requests.Local);
        return await Requests.Slice(client).SendAsync(
            Routes.ToEndpoint(webhook, Requests.Local, default), new("e", "{}"u8.ToArray()) { Headers = [new("Authorization", "of the event")] }, 1, CancellationToken.None);
    }

    private WebhookDefinition Webhook(string type, string? secret) => new(7, "hook", _receiver.Url("/hook"), true)
    {
        Delivery = new() { AuthType = type },
        Secrets = secret is null ? [] : [new("auth", secret, null, null)],
    };
}
