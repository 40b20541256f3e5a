using RuleEngineNats.DeliveryWorker.Delivery;
using RuleEngineNats.DeliveryWorker.Queue;

namespace RuleEngineNats.DeliveryWorker.Tests.Queue;

public sealed class RetryScheduleTests
{
    private static readonly TimeSpan[] Delays = [TimeSpan.FromSeconds(5), TimeSpan.FromMinutes(5), TimeSpan.FromMinutes(30)];
    private static readonly TimeSpan Throttled = TimeSpan.FromSeconds(60);
    private static readonly DeliveryOutcome Failed = new DeliveryOutcome.Rejected(500);

    [Theory]
    [InlineData(0, 5)]
    [InlineData(1, 300)]
    [InlineData(2, 1800)]
    public void Each_pause_is_that_of_the_schedule_give_or_take_a_fifth(int retryCount, double seconds)
    {
        Assert.Equal(seconds * 0.8, RetrySchedule.Next(Delays, retryCount, Failed, Throttled, jitter: 0)!.Value.TotalSeconds, 6);
        Assert.Equal(seconds, RetrySchedule.Next(Delays, retryCount, Failed, Throttled, jitter: 0.5)!.Value.TotalSeconds, 6);
        Assert.InRange(RetrySchedule.Next(Delays, retryCount, Failed, Throttled, jitter: 0.999)!.Value.TotalSeconds, seconds * 1.19, seconds * 1.2);
    }

    [Theory]
    [InlineData(429, null, 60, 72)]
    [InlineData(502, null, 60, 72)]
    [InlineData(503, null, 60, 72)]
    [InlineData(504, null, 60, 72)]
    [InlineData(500, null, 4, 6)]
    [InlineData(500, 7.0, 7, 8.4)]
    [InlineData(429, 7.0, 60, 72)]
    [InlineData(429, 600.0, 600, 720)]
    [InlineData(503, 1e9, 86400, 103680)]
    public void What_the_receiver_asks_for_is_kept_to(int status, double? asked, double least, double most)
    {
        var outcome = new DeliveryOutcome.Rejected(status, asked is { } seconds ? TimeSpan.FromSeconds(seconds) : null);
        foreach (var jitter in new[] { 0, 0.25, 0.5, 0.999 })
        {
            Assert.InRange(RetrySchedule.Next(Delays, 0, outcome, Throttled, jitter)!.Value.TotalSeconds, least, most);
        }
    }

    [Fact]
    public void Used_up_or_switched_off_retries_end_it()
    {
        Assert.Null(RetrySchedule.Next(Delays, 3, Failed, Throttled, 0));
        Assert.Null(RetrySchedule.Next([], 0, new DeliveryOutcome.Rejected(503, TimeSpan.FromSeconds(1)), Throttled, 0));
    }

    [Fact]
    public void What_follows_an_attempt_depends_on_its_outcome_and_the_retries_left()
    {
        var endpoint = new Endpoint(1, "x") { RetryDelays = Delays };
        CallChange After(DeliveryOutcome outcome, int? retryCount, Endpoint? other = null) => DecideNext.After(other ?? endpoint, outcome, retryCount, ordered: false, Throttled, 0.5);

        Assert.Equal(CallChange.None, After(new DeliveryOutcome.Delivered(204), null));
        Assert.IsType<CallChange.Succeed>(After(new DeliveryOutcome.Delivered(200), 1));
        Assert.Equal(new CallChange.Open(TimeSpan.FromSeconds(5), "HTTP 500"), After(Failed, null));
        Assert.Equal(new CallChange.Fail(TimeSpan.FromMinutes(30), "HTTP 500"), After(Failed, 2));
        Assert.Equal(new CallChange.Fail(null, "Max retries exceeded: HTTP 500"), After(Failed, 3));
        Assert.Equal(new CallChange.Open(null, "Retries are disabled: HTTP 500"), After(Failed, null, endpoint with { RetryDelays = [], RetriesEnabled = false }));
        Assert.Equal(new CallChange.Open(null, "HTTP 410"), After(new DeliveryOutcome.Rejected(410), null));
        Assert.Equal(
            new CallChange.Open(null, "address_blocked: address is loopback"),
            After(new DeliveryOutcome.AddressBlocked(DeliveryStage.Connect, "address is loopback"), null));
    }
}
