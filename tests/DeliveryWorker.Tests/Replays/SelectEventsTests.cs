using System.Text;
using RuleEngineNats.DeliveryWorker.Payloads;
using RuleEngineNats.DeliveryWorker.Replays;

namespace RuleEngineNats.DeliveryWorker.Tests.Replays;

public sealed class SelectEventsTests
{
    [Theory]
    [InlineData("events.a", """{"n":2}""", true)]
    [InlineData("events.a", """{"n":1}""", false)]
    [InlineData("webhooks.a", """{"n":2}""", false)]
    public void A_replay_takes_what_both_filters_let_through(string subject, string body, bool taken)
    {
        var endpoint = new Endpoint(1, "x") { Filter = "events.>", Payload = PayloadSettings.Of(new() { ContentFilter = "($.\"n\" > 1)" }) };
        Assert.Equal(taken, SelectEvents.IsTaken(endpoint, new("1_a", Encoding.UTF8.GetBytes(body)) { Subject = subject }));
    }
}
