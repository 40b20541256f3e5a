using RuleEngineNats.DeliveryWorker.Delivery;
using RuleEngineNats.DeliveryWorker.Queue;

namespace RuleEngineNats.DeliveryWorker.Tests.Queue;

public sealed class RetryScheduleTests
{
    private static readonly RetryPolicy Defaults = new(true, 3, TimeSpan.FromSeconds(1), 2);

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 2)]
    [InlineData(2, 4)]
    public void The_defaults_wait_one_two_four_seconds(int retryCount, double seconds)
    {
        Assert.Equal(TimeSpan.FromSeconds(seconds), RetrySchedule.Next(Defaults, retryCount, jitter: 0));
        Assert.InRange(RetrySchedule.Next(Defaults, retryCount, jitter: 0.999)!.Value.TotalSeconds, seconds, seconds * 1.1);
    }

    [Fact]
    public void Used_up_or_switched_off_retries_end_it()
    {
        Assert.Null(RetrySchedule.Next(Defaults, 3, 0));
        Assert.Null(RetrySchedule.Next(Defaults with { MaxRetries = 0 }, 0, 0));
        Assert.Null(RetrySchedule.Next(Defaults with { Enabled = false }, 0, 0));
    }

    [Fact]
    public void No_wait_is_longer_than_a_day()
        => Assert.Equal(TimeSpan.FromHours(24), RetrySchedule.Next(new(true, 10, TimeSpan.FromDays(20), 1e300), 9, 0.5));

    [Fact]
    public void What_follows_an_attempt_depends_on_its_outcome_and_the_retries_left()
    {
        var endpoint = new Endpoint(1, "x") { Retries = Defaults };
        var failed = new DeliveryOutcome.Rejected(500);

        Assert.Equal(CallChange.None, DecideNext.After(endpoint, new DeliveryOutcome.Delivered(204), null, 0));
        Assert.IsType<CallChange.Succeed>(DecideNext.After(endpoint, new DeliveryOutcome.Delivered(200), 1, 0));
        Assert.Equal(new CallChange.Open(TimeSpan.FromSeconds(1), "HTTP 500"), DecideNext.After(endpoint, failed, null, 0));
        Assert.Equal(new CallChange.Fail(TimeSpan.FromSeconds(4), "HTTP 500"), DecideNext.After(endpoint, failed, 2, 0));
        Assert.Equal(new CallChange.Fail(null, "Max retries exceeded: HTTP 500"), DecideNext.After(endpoint, failed, 3, 0));
        Assert.Equal(
            new CallChange.Open(null, "Retries are disabled: HTTP 500"),
            DecideNext.After(endpoint with { Retries = Defaults with { Enabled = false } }, failed, null, 0));
        Assert.Equal(
            new CallChange.Open(null, "address_blocked: address is loopback"),
            DecideNext.After(endpoint, new DeliveryOutcome.AddressBlocked(DeliveryStage.Connect, "address is loopback"), null, 0));
    }
}
