using System.Text;
using RuleEngineNats.DeliveryWorker.Signing;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.DeliveryWorker.Tests.Signing;

public sealed class WebhookSignatureTests
{
    private const string Secret = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    [Theory]
    [InlineData(Secret)]
    [InlineData("whsec_" + Secret)]
    public void The_published_vector_comes_out(string secret)
    {
        var signature = WebhookSignature.Compute("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, "{\"test\": 2432232314}"u8, [SigningKey.Parse(secret)]);

        Assert.Equal("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", signature);
    }

    [Fact]
    public void Each_secret_of_a_rotation_signs()
    {
        const string Older = "whsec_b2xkZXIgc2VjcmV0IG9mIHRoaXMgdGVzdA==";
        var body = new byte[] { 0xff, 0x00, 0x7b };

        var signature = WebhookSignature.Compute("evt_1", 1, body, [SigningKey.Parse(Secret), SigningKey.Parse(Older)]);

        var request = Request("evt_1", "1", signature, body);
        Assert.Equal(2, signature.Split(' ').Length);
        Assert.True(StandardWebhookVerifier.Verify(Secret, request));
        Assert.True(StandardWebhookVerifier.Verify(Older, request));
        Assert.False(StandardWebhookVerifier.Verify("whsec_b3RoZXI=", request));
    }

    [Fact]
    public void Every_body_verifies_by_its_bytes()
    {
        var random = new Random(1);
        foreach (var length in new[] { 0, 1, 63, 64, 65, 4096, 1_000_000 })
        {
            var body = new byte[length];
            random.NextBytes(body);

            var signature = WebhookSignature.Compute("evt_ä", 1732000000, body, [SigningKey.Parse(Secret)]);

            Assert.True(StandardWebhookVerifier.Verify(Secret, Request("evt_ä", "1732000000", signature, body)));
        }
    }

    [Fact]
    public void A_secret_that_is_not_base64_is_its_own_bytes()
        => Assert.Equal(Encoding.UTF8.GetBytes("geheim, nicht base64!"), SigningKey.Parse("geheim, nicht base64!").Bytes);

    private static ReceivedRequest Request(string id, string timestamp, string signature, byte[] body) => new(
        DateTimeOffset.UnixEpoch, "POST", "/", new Dictionary<string, string> { ["webhook-id"] = id, ["webhook-timestamp"] = timestamp, ["webhook-signature"] = signature }, body);
}
