using System.Net;

namespace RuleEngineNats.ConfigService.Tests.Pool;

[Collection(nameof(RunningService))]
[Trait("Category", "Servers")]
public sealed class PoolTests(RunningService service)
{
    [Fact]
    public async Task The_pool_of_this_service_is_shown()
    {
        var pool = await service.GetAsync("/api/v1/pool");
        Assert.Equal(HttpStatusCode.OK, pool.Status);
        Assert.Equal("default", pool.Text("connection"));
        Assert.Equal((10, 1, 1), (pool.Number("maxConnections"), pool.Number("totalConnections"), pool.Number("healthyConnections")));
        Assert.Equal(100, pool.Number("healthPercentage"));
        var connection = Assert.Single(pool.Json["connections"]!.AsArray())!;
        Assert.Equal("open", connection["state"]!.GetValue<string>());
        Assert.NotEmpty(connection["server"]!.GetValue<string>());
    }
}
