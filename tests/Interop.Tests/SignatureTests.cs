using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using RuleEngineNats.DeliveryWorker;
using RuleEngineNats.DeliveryWorker.Authorization;
using RuleEngineNats.DeliveryWorker.Delivery;
using RuleEngineNats.DeliveryWorker.Routing;
using RuleEngineNats.Messaging;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.Interop.Tests;

/// <summary>I26: what the delivery slice sends over HTTP verifies with the libraries that receivers use.</summary>
[Trait("Category", "Servers")]
public sealed class SignatureTests
{
    private const int Bodies = 1000;
    private const int OtherProfiles = 200;

    private static readonly EgressOptions Local = new() { AllowLoopback = true, AllowHttp = true, AllowAnyPort = true };

    [Fact]
    public async Task A_thousand_bodies_verify_with_standardwebhooks_svix_ed25519_octokit_and_stripe()
    {
        await NodePrograms.InstallAsync();
        await using var receiver = await WebhookReceiver.StartAsync();
        var secret = "whsec_" + Convert.ToBase64String(System.Security.Cryptography.RandomNumberGenerator.GetBytes(32));
        var ed25519 = Ed25519Key.MakePrivate();
        var texts = RandomBodies.Make(Bodies, seed: 26);
        byte[][] bodies = [.. texts, .. Hostile()];

        await SendAsync(receiver, "standard", bodies, secret, ed25519);
        await SendAsync(receiver, "github", texts[..OtherProfiles], secret);
        await SendAsync(receiver, "stripe", texts[..OtherProfiles], secret);

        var answer = await NodePrograms.RunAsync("signatures.mjs", new
        {
            secret,
            publicKey = Ed25519Key.TryParse(ed25519)!.PublicKey,
            deliveries = receiver.Requests.Select(request => new { profile = request.Path[1..], headers = request.Headers, body = request.Body }),
        });
        Assert.Equal("[]", answer.GetProperty("failed").GetRawText());
        Assert.Equal(0, answer.GetProperty("unnoticed").GetInt32());
        var verified = answer.GetProperty("verified").Deserialize<Dictionary<string, int>>()!;
        var asText = bodies.Count(body => Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(body)).AsSpan().SequenceEqual(body));
        Assert.True(asText > Bodies && asText < bodies.Length);
        Assert.Equal((asText, asText, bodies.Length, bodies.Length), (verified["standardwebhooks"], verified["svix"], verified["bytes"], verified["ed25519"]));
        Assert.Equal((OtherProfiles, OtherProfiles), (verified["octokit"], verified["stripe"]));
    }

    // Empty, other scripts, 1 MB, and bytes that no text has.
    private static IEnumerable<byte[]> Hostile()
    {
        yield return [];
        yield return "\"日本語 🎉 \\u0000 עברית é\""u8.ToArray();
        yield return Encoding.UTF8.GetBytes($"\"{new string('m', 1_000_000)}\"");
        yield return [0xff];
        yield return [.. "{\"a\":\""u8, 0xc3, 0x28, .. "\"}"u8];
        yield return [0xed, 0xa0, 0x80];
        var random = new Random(26);
        for (var length = 1; length <= 4096; length *= 2)
        {
            var bytes = new byte[length];
            random.NextBytes(bytes);
            yield return [0xfe, .. bytes];
        }
    }

    private static async Task SendAsync(WebhookReceiver receiver, string profile, byte[][] bodies, params string[] secrets)
    {
        using var client = new DeliveryClient(Local);
        using var certificates = new CertificateClients(Local, DeliveryClient.Resolve);
        var post = new PostWebhook(
            new Authorize(client, new OAuthTokens(client, TimeProvider.System), certificates, TimeProvider.System),
            Options.Create(new DeliveryOptions()), TimeProvider.System, NullLogger<PostWebhook>.Instance);
        var endpoint = Routes.ToEndpoint(
            new(1, profile, receiver.Url("/" + profile), true)
            {
                Timeout = TimeSpan.FromSeconds(20),
                Delivery = new() { SignatureProfile = profile },
                Secrets = [.. secrets.Select((secret, index) => new WebhookSecret($"signing-{index}", secret, null, null))],
            },
            Local, TimeProvider.System.GetUtcNow());
        for (var number = 0; number < bodies.Length; number++)
        {
            var attempt = await post.SendAsync(endpoint, new OutgoingEvent($"{profile}_{number}", bodies[number]), 1, CancellationToken.None);
            Assert.Equal(new DeliveryOutcome.Delivered(200), attempt.Outcome);
        }
    }
}
