using RuleEngineNats.DeliveryWorker.Routing;

namespace RuleEngineNats.DeliveryWorker.Tests.Routing;

public sealed class RouteTableTests
{
    [Theory]
    [InlineData("events.order.created", new[] { 1, 2, 3, 4, 5 })]
    [InlineData("events.order.paid", new[] { 2, 3, 5 })]
    [InlineData("events.order", new[] { 3, 5 })]
    [InlineData("events.order.created.eu", new[] { 3, 5 })]
    [InlineData("other.order.created", new[] { 4, 5 })]
    [InlineData("events", new[] { 5 })]
    public void A_subject_reaches_every_endpoint_whose_filter_matches(string subject, int[] expected)
    {
        var table = new RouteTable(
        [
            new Endpoint(1, "literal") { Filter = "events.order.created" },
            new Endpoint(2, "star") { Filter = "events.order.*" },
            new Endpoint(3, "rest") { Filter = "events.>" },
            new Endpoint(4, "first star") { Filter = "*.order.created" },
            new Endpoint(5, "all") { Filter = ">" },
            new Endpoint(6, "none"),
            new Endpoint(7, "malformed") { Filter = "events..created" },
        ]);

        Assert.Equal(expected, table.Match(subject).Select(endpoint => endpoint.Id).Order());
    }

    [Fact]
    public void An_endpoint_without_a_filter_is_found_by_its_id_only()
    {
        var table = new RouteTable([new Endpoint(6, "queue only")]);

        Assert.Empty(table.Match("webhooks.queue"));
        Assert.Equal("queue only", table.Find(6)?.Name);
        Assert.Null(table.Find(7));
        Assert.NotNull(table.Find(6));
    }
}
