using System.Text;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.Receiver.Tests;

/// <summary>With the vector of the Standard Webhooks specification.</summary>
public sealed class SignatureTests
{
    private const string Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    private const string Other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    private const string Right = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    private const long Signed = 1614265330;

    [Theory]
    [InlineData(Right, 0, SignatureVerdict.Verified)]
    [InlineData("v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg== v1,bm9ldHU= " + Right, 0, SignatureVerdict.Verified)]
    [InlineData(Right, 300, SignatureVerdict.Verified)]
    [InlineData(Right, -300, SignatureVerdict.Verified)]
    [InlineData(Right, 301, SignatureVerdict.TooOld)]
    [InlineData(Right, -301, SignatureVerdict.TooNew)]
    [InlineData("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OF=", 0, SignatureVerdict.Mismatch)]
    [InlineData("v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", 0, SignatureVerdict.NoKnownVersion)]
    [InlineData("", 0, SignatureVerdict.HeadersMissing)]
    public void A_signature_is_judged(string signature, int secondsLater, SignatureVerdict verdict)
        => Assert.Equal(verdict, Check([Secret], signature, secondsLater: secondsLater));

    [Fact]
    public void While_a_secret_is_changed_either_one_will_do()
    {
        Assert.Equal(SignatureVerdict.Verified, Check([Other, Secret], Right));
        Assert.Equal(SignatureVerdict.Mismatch, Check([Other], Right));
        Assert.Equal(SignatureVerdict.NotChecked, Check([], Right));
    }

    [Theory]
    [InlineData("soon")]
    [InlineData("-1")]
    [InlineData("1614265330.5")]
    public void A_timestamp_is_a_number_of_seconds(string timestamp) => Assert.Equal(SignatureVerdict.TimestampInvalid, Check([Secret], Right, timestamp));

    [Fact]
    public void A_timestamp_of_another_age_does_not_overflow()
        => Assert.Equal(SignatureVerdict.TooNew, Check([Secret], Right, "9223372036854775807"));

    private static SignatureVerdict Check(string[] secrets, string signature, string timestamp = "1614265330", int secondsLater = 0)
    {
        var headers = new Dictionary<string, string>
        {
            ["webhook-id"] = "msg_p5jXN8AQM9LWM0D4loKWxJek",
            ["webhook-timestamp"] = timestamp,
            ["webhook-signature"] = signature,
        };
        return StandardWebhookVerifier.Check(secrets, headers, Encoding.UTF8.GetBytes("""{"test": 2432232314}"""), DateTimeOffset.FromUnixTimeSeconds(Signed + secondsLater));
    }
}
