using System.Runtime.Serialization;

namespace RuleEngineNats.Consumers.Tests;

public sealed class RedeliveryRuleTests
{
    private static readonly Exception Failure = new InvalidOperationException();

    private static readonly RedeliveryRule Rule = new(TimeSpan.FromSeconds(5), TimeSpan.FromMinutes(5), 10);

    [Fact]
    public void The_pause_doubles_up_to_its_most_and_ends_with_the_attempts()
        => Assert.Equal([5, 10, 20, 40, 80, 160, 300, 300, 300, null], Enumerable.Range(1, 10).Select(delivery => Rule.After((ulong)delivery, Failure)?.TotalSeconds));

    [Fact]
    public void What_cannot_be_read_does_not_come_again() => Assert.Null(Rule.After(1, new SerializationException()));

    [Fact]
    public void Without_a_limit_it_comes_again_for_ever_whatever_the_reason()
        => Assert.Equal(TimeSpan.FromSeconds(5), new RedeliveryRule(TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(5), null).After(ulong.MaxValue, new SerializationException()));

    [Fact]
    public void More_deliveries_than_attempts_are_refused()
    {
        Rule.ThrowIfSpent(10);
        Assert.Throws<InvalidOperationException>(() => Rule.ThrowIfSpent(11));
    }
}
