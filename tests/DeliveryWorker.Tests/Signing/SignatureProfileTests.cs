using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Org.BouncyCastle.Math.EC.Rfc8032;
using RuleEngineNats.DeliveryWorker.Delivery;
using RuleEngineNats.DeliveryWorker.Routing;
using RuleEngineNats.DeliveryWorker.Tests.Delivery;
using RuleEngineNats.Messaging;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.DeliveryWorker.Tests.Signing;

public sealed class SignatureProfileTests : IAsyncLifetime
{
    private const string Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    private const string Older = "whsec_b2xkZXIgc2VjcmV0IG9mIHRoaXMgdGVzdA==";

    private static readonly byte[] Body = [.. """{"b":1}"""u8, 0xff];

    private readonly SetTime _time = new();
    private WebhookReceiver _receiver = null!;

    public async Task InitializeAsync() => _receiver = await WebhookReceiver.StartAsync();

    public async Task DisposeAsync() => await _receiver.DisposeAsync();

    [Fact]
    public async Task Github_gets_the_hash_of_the_body_under_the_secret_as_it_is_written()
    {
        var request = await DeliverAsync("github", ("signing", Secret, null), ("signing-previous", Older, _time.Now.AddHours(1)));

        Assert.Equal("sha256=" + Hex(Secret, Body), request.Headers["X-Hub-Signature-256"]);
        Assert.False(request.Headers.ContainsKey("webhook-signature"));
        Assert.Equal("e", request.Id);
        Assert.NotEmpty(request.Headers["webhook-timestamp"]);
    }

    [Fact]
    public async Task Stripe_gets_timestamp_and_a_v1_of_each_secret()
    {
        var request = await DeliverAsync("stripe", ("signing-previous", Older, _time.Now.AddHours(1)), ("signing", Secret, null));

        var timestamp = _time.Now.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        byte[] signed = [.. Encoding.ASCII.GetBytes(timestamp + "."), .. Body];
        Assert.Equal($"t={timestamp},v1={Hex(Secret, signed)},v1={Hex(Older, signed)}", request.Headers["Stripe-Signature"]);
        Assert.Equal(timestamp, request.Headers["webhook-timestamp"]);
        Assert.False(request.Headers.ContainsKey("webhook-signature"));
    }

    [Fact]
    public async Task None_signs_nothing_and_needs_no_secret_that_can_be_read()
    {
        var webhook = Webhook("none") with { Secrets = [new("signing", string.Empty, "cannot be decrypted", null)] };
        var request = await DeliverAsync(webhook);

        Assert.DoesNotContain(request.Headers.Keys, name => name.Contains("signature", StringComparison.OrdinalIgnoreCase));
        Assert.Equal("e", request.Id);
    }

    [Fact]
    public async Task An_ed25519_secret_signs_v1a_that_its_public_key_verifies()
    {
        var secret = Ed25519Key.MakePrivate();
        var request = await DeliverAsync("standard", ("signing", secret, null), ("signing-previous", Secret, _time.Now.AddHours(1)));

        var signatures = request.Headers["webhook-signature"].Split(' ');
        Assert.Equal(2, signatures.Length);
        var signature = Convert.FromBase64String(signatures[0]["v1a,".Length..]);
        var key = Convert.FromBase64String(Ed25519Key.TryParse(secret)!.PublicKey["whpk_".Length..]);
        byte[] signed = [.. Encoding.ASCII.GetBytes($"e.{_time.Now.ToUnixTimeSeconds()}."), .. Body];
        Assert.True(Ed25519.Verify(signature, 0, key, 0, signed, 0, signed.Length));
        signed[^1] ^= 1;
        Assert.False(Ed25519.Verify(signature, 0, key, 0, signed, 0, signed.Length));
        Assert.True(StandardWebhookVerifier.Verify(Secret, request));
    }

    [Fact]
    public async Task A_rotated_secret_signs_until_its_time_is_over_though_no_configuration_comes()
    {
        var endpoint = Routes.ToEndpoint(Webhook("standard", ("signing-previous", Older, _time.Now.AddSeconds(10)), ("signing", Secret, null)), Requests.Local, _time.Now);

        var during = await DeliverAsync(endpoint);
        _time.Now = _time.Now.AddSeconds(10);
        var after = await DeliverAsync(endpoint);

        Assert.True(StandardWebhookVerifier.Verify(Secret, during) && StandardWebhookVerifier.Verify(Older, during));
        Assert.StartsWith("v1,", during.Headers["webhook-signature"], StringComparison.Ordinal);
        Assert.True(StandardWebhookVerifier.Verify(Secret, after));
        Assert.False(StandardWebhookVerifier.Verify(Older, after));
    }

    [Theory]
    [InlineData("github", null, "signature_profile github needs a secret named signing that is not an ed25519 key")]
    [InlineData("stripe", null, "signature_profile stripe needs a secret named signing that is not an ed25519 key")]
    [InlineData("github", "ed25519", "signature_profile github needs a secret named signing that is not an ed25519 key")]
    [InlineData("standard", "whsk_AAAA", "the secret signing is not whsk_ and the base64 of an ed25519 key")]
    [InlineData("standard", "whsk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==", "the secret signing is not whsk_")]
    [InlineData("standard", "whpk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "the secret signing is a public key (whpk_), which cannot sign")]
    public async Task Without_a_key_that_can_sign_nothing_is_sent(string profile, string? secret, string reason)
    {
        var value = secret == "ed25519" ? Ed25519Key.MakePrivate() : secret;
        var endpoint = Routes.ToEndpoint(value is null ? Webhook(profile) : Webhook(profile, ("signing", value, null)), Requests.Local, _time.Now);

        var attempt = await SendAsync(endpoint);

        Assert.Equal("not_signed", attempt.Outcome.Code);
        Assert.False(attempt.Outcome.IsFinal);
        Assert.StartsWith("not_signed: " + reason, attempt.Outcome.Error, StringComparison.Ordinal);
        Assert.Empty(_receiver.Requests);
    }

    [Theory]
    [InlineData("github", "X-Hub-Signature-256")]
    [InlineData("stripe", "Stripe-Signature")]
    public async Task A_header_of_the_endpoint_or_the_event_is_no_signature(string profile, string name)
    {
        var webhook = Webhook(profile, ("signing", Secret, null)) with { Headers = new Dictionary<string, string> { [name] = "own" } };
        var request = await DeliverAsync(webhook, new("e", Body) { Headers = [new(name.ToLowerInvariant(), "of the event")] });

        Assert.DoesNotContain("o", request.Headers[name].Replace("sha256=", "", StringComparison.Ordinal), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Credentials_never_sign()
    {
        var webhook = Webhook("standard", ("auth", "whsec_dGhlIGNyZWRlbnRpYWxzIG9mIGEgd2ViaG9vaw==", null));
        webhook.Delivery.AuthType = "bearer";

        var request = await DeliverAsync(webhook);

        Assert.False(request.Headers.ContainsKey("webhook-signature"));
        Assert.Equal("Bearer whsec_dGhlIGNyZWRlbnRpYWxzIG9mIGEgd2ViaG9vaw==", request.Headers["Authorization"]);
    }

    private static string Hex(string secret, byte[] signed) => Convert.ToHexStringLower(HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret), signed));

    private WebhookDefinition Webhook(string profile, params (string Name, string Value, DateTimeOffset? ExpiresAt)[] secrets) => new(7, "hook", _receiver.Url("/hook"), true)
    {
        Delivery = new() { SignatureProfile = profile },
        Secrets = [.. secrets.Select(secret => new WebhookSecret(secret.Name, secret.Value, null, secret.ExpiresAt))],
    };

    private Task<ReceivedRequest> DeliverAsync(string profile, params (string, string, DateTimeOffset?)[] secrets) => DeliverAsync(Webhook(profile, secrets));

    private Task<ReceivedRequest> DeliverAsync(WebhookDefinition webhook, OutgoingEvent? outgoing = null)
        => DeliverAsync(Routes.ToEndpoint(webhook, Requests.Local, _time.Now), outgoing);

    private async Task<ReceivedRequest> DeliverAsync(Endpoint endpoint, OutgoingEvent? outgoing = null)
    {
        Assert.Equal(new DeliveryOutcome.Delivered(200), (await SendAsync(endpoint, outgoing)).Outcome);
        return _receiver.Requests.Last();
    }

    private async Task<Attempt> SendAsync(Endpoint endpoint, OutgoingEvent? outgoing = null)
    {
        using var client = new DeliveryClient(Requests.Local);
        return await Requests.Slice(client, _time).SendAsync(endpoint, outgoing ?? new("e", Body), 1, CancellationToken.None);
    }
}
