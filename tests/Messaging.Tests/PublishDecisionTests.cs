using System.Buffers;
using System.Text;
using Xunit;

namespace RuleEngineNats.Messaging.Tests;

public sealed class PublishDecisionTests
{
    [Theory]
    [InlineData(10054, RefusalReason.TooLarge)]
    [InlineData(10060, RefusalReason.WrongStream)]
    [InlineData(10070, RefusalReason.Rejected)]
    [InlineData(10071, RefusalReason.Rejected)]
    [InlineData(10097, RefusalReason.InvalidHeader)]
    public void What_stays_wrong_is_refused_at_once(int errorCode, RefusalReason reason)
    {
        var decision = Of(Error(errorCode));

        Assert.Equal(reason, Assert.IsType<PublishOutcome.Refused>(decision.Outcome).Reason);
        Assert.False(decision.Repeat);
    }

    [Theory]
    [InlineData(10077, UnavailableReason.StreamFull)]
    [InlineData(10023, UnavailableReason.StreamFull)]
    [InlineData(10047, UnavailableReason.StreamFull)]
    [InlineData(10039, UnavailableReason.NoStream)]
    [InlineData(10076, UnavailableReason.NoStream)]
    public void What_does_not_pass_within_a_call_is_unavailable_at_once(int errorCode, UnavailableReason reason)
    {
        var decision = Of(Error(errorCode));

        Assert.Equal(reason, Assert.IsType<PublishOutcome.Unavailable>(decision.Outcome).Reason);
        Assert.False(decision.Repeat);
    }

    [Theory]
    [InlineData(10008)]
    [InlineData(10009)]
    [InlineData(10118)]
    [InlineData(10158)]
    [InlineData(10167)]
    [InlineData(19999)]
    public void What_may_pass_and_what_is_not_known_is_repeated(int errorCode) => Assert.True(Of(Error(errorCode)).Repeat);

    [Theory]
    [InlineData("""{"stream":"S","seq":0}""")]
    [InlineData("""{"stream":"","seq":5}""")]
    [InlineData("""{"stream":"S","seq":0,"duplicate":true}""")]
    [InlineData("""{"seq":5,"duplicate":true}""")]
    [InlineData("""{}""")]
    public void An_acknowledgement_without_a_place_is_no_success(string json)
    {
        var decision = Of(Read(json));

        Assert.IsType<PublishOutcome.Unavailable>(decision.Outcome);
        Assert.True(decision.Repeat);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("hello")]
    [InlineData("[]")]
    [InlineData("""{"seq":"x"}""")]
    [InlineData("""{"stream":"S","seq":-1}""")]
    public void Bytes_that_are_no_acknowledgement_are_no_success(string json) => Assert.IsType<PublishOutcome.Unavailable>(Of(Read(json)).Outcome);

    [Fact]
    public void An_acknowledgement_is_read_whatever_its_order_and_additions()
    {
        Assert.Equal(new PublishOutcome.Stored("S", 7), Of(Read("""{"seq":7,"domain":{"a":[1]},"stream":"S","new":null}""")).Outcome);
        Assert.Equal(new PublishOutcome.Duplicate("S", ulong.MaxValue), Of(Read("""{"duplicate":true,"stream":"S","seq":18446744073709551615}""")).Outcome);
        Assert.Equal(RefusalReason.WrongStream, Assert.IsType<PublishOutcome.Refused>(
            Of(Read("""{"error":{"code":400,"extra":{},"err_code":10060,"description":"expected stream does not match"},"stream":"S","seq":0}""")).Outcome).Reason);
    }

    [Fact]
    public void No_responders_is_asked_four_times_and_says_unknown_after_an_unanswered_attempt()
    {
        Assert.True(PublishDecision.Of(PubAck.Of(AckKind.NoResponders), 3, unanswered: false).Repeat);
        Assert.False(PublishDecision.Of(PubAck.Of(AckKind.NoResponders), 4, unanswered: false).Repeat);
        Assert.Equal(UnavailableReason.Timeout, Assert.IsType<PublishOutcome.Unavailable>(PublishDecision.Of(PubAck.Of(AckKind.NoResponders), 4, unanswered: true).Outcome).Reason);
    }

    [Fact]
    public void Delays_double_up_to_two_seconds()
        => Assert.Equal([100, 200, 400, 800, 1600, 2000, 2000], Enumerable.Range(1, 7).Select(attempt => PublishDecision.Of(PubAck.Of(AckKind.TimedOut), attempt, true).Delay.TotalMilliseconds));

    private static PublishDecision Of(PubAck ack) => PublishDecision.Of(ack, 1, unanswered: false);

    private static PubAck Error(int errorCode) => new(AckKind.Answered, "S", 0, false, 400, errorCode, "description");

    private static PubAck Read(string json) => new PubAckReader().Deserialize(new ReadOnlySequence<byte>(Encoding.UTF8.GetBytes(json)));
}
