using Xunit;

namespace RuleEngineNats.Contracts.Tests;

public sealed class PayloadObjectTests
{
    private const string Hash = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    [Fact]
    public void What_is_written_is_read()
    {
        var stored = new PayloadObject(Hash, 8_388_608);

        Assert.Equal("RULE_PAYLOADS/" + Hash, stored.Reference);
        Assert.Equal(stored, PayloadObject.Parse(stored.Reference, "8388608"));
        Assert.Equal(stored with { Size = 0 }, PayloadObject.Parse(stored.Reference, "-1"));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData(Hash)]
    [InlineData("OTHER_BUCKETS/" + Hash)]
    [InlineData("RULE_PAYLOADS/" + Hash + "0")]
    [InlineData("RULE_PAYLOADS/../../" + Hash)]
    [InlineData("RULE_PAYLOADS/0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef")]
    public void Nothing_else_on_the_server_can_be_referred_to(string? reference) => Assert.Null(PayloadObject.Parse(reference, "1"));
}
