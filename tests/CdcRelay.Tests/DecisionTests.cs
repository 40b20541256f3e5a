using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;
using RuleEngineNats.CdcRelay.Outbox;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.CdcRelay.Tests;

public sealed class DecisionTests
{
    [Fact]
    public void The_slot_is_confirmed_up_to_the_first_row_that_is_not_settled()
    {
        var progress = new WalProgress();
        var (first, second, third) = (progress.Begin(), progress.Begin(), progress.Begin());
        first.RowTaken();
        first.RowTaken();
        second.RowTaken();
        first.Ended(100);
        second.Ended(200);
        third.Ended(300);
        Assert.Equal(0UL, progress.Confirmed);
        second.RowSettled();
        first.RowSettled();
        Assert.Equal(0UL, progress.Confirmed);
        first.RowSettled();
        Assert.Equal(300UL, progress.Confirmed);
        Assert.Equal(0, progress.Outstanding);
    }

    [Fact]
    public void A_transaction_whose_end_has_not_come_holds_the_slot_although_all_its_rows_are_settled()
    {
        var progress = new WalProgress();
        var transaction = progress.Begin();
        transaction.RowTaken();
        transaction.RowSettled();
        progress.Idle(500);
        Assert.Equal(0UL, progress.Confirmed);
        transaction.Ended(100);
        Assert.Equal(100UL, progress.Confirmed);
    }

    [Fact]
    public void With_nothing_outstanding_the_slot_follows_the_server_and_never_goes_back()
    {
        var progress = new WalProgress();
        progress.Idle(500);
        Assert.Equal(500UL, progress.Confirmed);
        progress.Idle(400);
        progress.Begin().Ended(450);
        Assert.Equal(500UL, progress.Confirmed);
    }

    [Theory]
    [InlineData("10:20:", 9, true)]
    [InlineData("10:20:", 10, true)]
    [InlineData("10:20:10,15", 10, false)]
    [InlineData("10:20:10,15", 11, true)]
    [InlineData("10:20:10,15", 15, false)]
    [InlineData("10:20:", 20, false)]
    [InlineData("4294967300:4294967301:4294967300", 4294967299, true)]
    public void A_transaction_is_seen_that_is_neither_running_nor_younger_than_the_snapshot(string snapshot, ulong xid, bool seen)
        => Assert.Equal(seen, TransactionSnapshot.Parse(snapshot).Sees(xid));

    [Theory]
    [InlineData(10, 50, new ulong[0], 50)]
    [InlineData(10, 50, new ulong[] { 30, 40 }, 30)]
    [InlineData(10, 50, new ulong[] { 5 }, 10)]
    [InlineData(50, 50, new ulong[0], 50)]
    [InlineData(900, 50, new ulong[0], 50)]
    public void The_low_water_mark_stays_below_what_runs_and_what_is_in_flight(ulong current, ulong xmin, ulong[] inFlight, ulong expected)
        => Assert.Equal(expected, LowWaterMark.After(current, xmin, inFlight));

    [Theory]
    [InlineData(1, 100)]
    [InlineData(2, 200)]
    [InlineData(6, 3200)]
    [InlineData(7, 5000)]
    [InlineData(1_000_000, 5000)]
    public void The_pause_doubles_up_to_its_maximum(int failures, int milliseconds)
        => Assert.Equal(TimeSpan.FromMilliseconds(milliseconds), RetryPause.After(failures, TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(5)));

    [Fact]
    public void A_closed_gate_lets_one_probe_through_and_opens_when_that_is_answered()
    {
        var time = new SteppedTime();
        var gates = new StreamGates(Options.Create(new RelayOptions()), time);
        var down = new PublishOutcome.Unavailable(UnavailableReason.NoStream, "none");
        Assert.True(gates.MayPublish("a"));
        gates.Observe("a", down);
        Assert.False(gates.MayPublish("a"));
        Assert.True(gates.MayPublish("b"));
        time.Step(TimeSpan.FromMilliseconds(100));
        Assert.True(gates.MayPublish("a"));
        Assert.False(gates.MayPublish("a"));
        gates.Observe("a", down);
        time.Step(TimeSpan.FromMilliseconds(100));
        Assert.Equal(GateState.Closed, gates.State("a"));
        time.Step(TimeSpan.FromMilliseconds(100));
        Assert.Equal(GateState.Probe, gates.State("a"));
        Assert.True(gates.MayPublish("a"));
        gates.Observe("a", new PublishOutcome.Stored("A", 1));
        Assert.Equal(GateState.Open, gates.State("a"));
        Assert.Empty(gates.Unavailable);
    }

    [Fact]
    public void An_error_of_one_message_closes_no_gate()
    {
        var gates = new StreamGates(Options.Create(new RelayOptions()), TimeProvider.System);
        gates.Observe("a", new PublishOutcome.Unavailable(UnavailableReason.ServerError, "?"));
        Assert.Equal(GateState.Open, gates.State("a"));
    }

    [Fact]
    public void A_row_goes_to_the_stream_that_has_its_subject_now()
    {
        var config = new NatsConfig(1, "default", "nats://localhost", true);
        var snapshot = new ConfigSnapshot([], [config], [new(1, 1, "ORDERS", ["orders.>"], true), new(2, 1, "OFF", ["off.>"], false)]);
        Assert.Equal(new("default", "ORDERS", "default/ORDERS"), Destination.Of(snapshot, Row("orders.x", 1)));
        Assert.Equal(new("default", "WEBHOOKS", "default//off.x"), Destination.Of(snapshot, Row("off.x", 1)));
        Assert.Equal("default/ORDERS", Destination.OfParked(snapshot, "1/orders.x").Gate);
        Assert.Equal("default/ORDERS", Destination.OfParked(snapshot, "/orders.x").Gate);
        Assert.Equal("default//off.x", Destination.OfParked(snapshot, "1/off.x").Gate);
    }

    [Fact]
    public void Ready_names_what_is_missing()
    {
        var none = new Dictionary<string, string>();
        AssertHealth(HealthStatus.Unhealthy, "no database", RelayHealth.Check(new RelayPhase.Starting("no database"), null, none, true));
        AssertHealth(HealthStatus.Unhealthy, "slot s is gone", RelayHealth.Check(new RelayPhase.Streaming("s"), "slot s is gone", none, true));
        AssertHealth(HealthStatus.Unhealthy, "NATS", RelayHealth.Check(new RelayPhase.Streaming("s"), null, none, false));
        AssertHealth(HealthStatus.Degraded, "wal_level", RelayHealth.Check(new RelayPhase.Polling("wal_level is replica: polling"), null, none, true));
        AssertHealth(HealthStatus.Degraded, "stream X: NoStream", RelayHealth.Check(new RelayPhase.Streaming("s"), null, new Dictionary<string, string> { ["X"] = "NoStream" }, true));
        AssertHealth(HealthStatus.Healthy, "standing by for other", RelayHealth.Check(new RelayPhase.Standby("other"), null, none, true));
        Assert.Equal(HealthStatus.Healthy, RelayHealth.Check(new RelayPhase.Streaming("s"), null, none, true).Status);
    }

    private static void AssertHealth(HealthStatus status, string says, HealthCheckResult result)
    {
        Assert.Equal(status, result.Status);
        Assert.Contains(says, result.Description, StringComparison.Ordinal);
    }

    private static OutboxRow Row(string subject, int configId) => new(1, 1, subject, default, "id") { ConfigId = configId, Stream = "WEBHOOKS" };

    private sealed class SteppedTime : TimeProvider
    {
        private DateTimeOffset _now = DateTimeOffset.UnixEpoch;

        public override DateTimeOffset GetUtcNow() => _now;

        public void Step(TimeSpan by) => _now += by;
    }
}
