using Xunit;

namespace RuleEngineNats.Contracts.Tests;

public sealed class MessageIdRulesTests
{
    [Theory]
    [InlineData("order-1")]
    [InlineData("a.b:c/d")]
    [InlineData("Bestellung-ü-№1")]
    public void An_id_without_spaces_is_fine(string id) => Assert.Null(MessageIdRules.Check(id));

    [Fact]
    public void An_id_has_at_most_128_characters()
    {
        Assert.Null(MessageIdRules.Check(new string('x', 128)));
        Assert.Null(MessageIdRules.Check(string.Concat(Enumerable.Repeat("😀", 128))));
        Assert.Equal(new MessageIdProblem("longer than 128 characters", 128), MessageIdRules.Check(new string('x', 129)));
    }

    [Theory]
    [InlineData("", "empty", 0)]
    [InlineData("a b", "space or control character", 1)]
    [InlineData("a\r\nb", "space or control character", 1)]
    [InlineData("ü\u00a0", "space or control character", 2)]
    [InlineData("a\u202eb", "space or control character", 1)]
    public void Anything_else_is_refused_with_the_byte(string id, string reason, int position) => Assert.Equal(new MessageIdProblem(reason, position), MessageIdRules.Check(id));

    // Passed as a number, since a lone surrogate is no valid argument of a test.
    [Fact]
    public void A_lone_surrogate_is_refused() => Assert.NotNull(MessageIdRules.Check("a" + (char)0xd800));
}

public sealed class NatsMessageIdTests
{
    [Theory]
    [InlineData(5, "order-17", "5_order-17")]
    [InlineData(5, "a.b", "5:2e7336dc8eba87ef472df568c35482abf2575dc3e5eac0c5c62b8ffaeac2c934")]
    public void It_is_unique_per_webhook_and_has_no_dot(int webhookId, string messageId, string expected) => Assert.Equal(expected, NatsMessageId.For(webhookId, messageId));

    [Fact]
    public void It_fits_into_128_bytes_whatever_the_id()
    {
        Assert.Equal(116 + 11, NatsMessageId.For(int.MaxValue, new string('x', 116)).Length);
        Assert.Equal(64 + 11, NatsMessageId.For(int.MaxValue, new string('x', 117)).Length);
        Assert.Equal(64 + 11, NatsMessageId.For(int.MaxValue, "ü").Length);
    }

    [Fact]
    public void A_publish_by_subject_is_webhook_0() => Assert.Equal(NatsMessageId.For(0, "a"), NatsMessageId.ForSubject("a"));
}
