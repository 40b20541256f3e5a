using RuleEngineNats.DeliveryWorker.Delivery;

namespace RuleEngineNats.DeliveryWorker.Tests.Delivery;

public sealed class StableEventIdTests
{
    private static readonly DateTimeOffset Stored = DateTimeOffset.UnixEpoch.AddDays(20_000);

    [Fact]
    public void A_message_id_that_may_be_one_is_the_event_id() => Assert.Equal("5_order-17", StableEventId.Of("5_order-17", "S", 1, Stored));

    [Theory]
    [InlineData("has.dot")]
    [InlineData("has space")]
    [InlineData("grüß")]
    public void Any_other_message_id_is_hashed_the_same_way_each_time(string messageId)
    {
        var id = StableEventId.Of(messageId, "S", 1, Stored);

        Assert.Matches("^evt_[0-9a-f]{48}$", id);
        Assert.Equal(id, StableEventId.Of(messageId, "T", 2, Stored.AddDays(1)));
        Assert.NotEqual(id, StableEventId.Of(messageId + "x", "S", 1, Stored));
    }

    [Fact]
    public void Without_a_message_id_the_place_and_time_in_the_stream_make_one()
    {
        var id = StableEventId.Of(null, "S", 1, Stored);

        Assert.Equal(id, StableEventId.Of("", "S", 1, Stored));
        Assert.NotEqual(id, StableEventId.Of(null, "S", 2, Stored));
        Assert.NotEqual(id, StableEventId.Of(null, "S", 1, Stored.AddSeconds(1)));
        Assert.DoesNotContain('.', id);
    }
}
