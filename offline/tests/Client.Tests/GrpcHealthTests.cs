using Grpc.Core;
using Grpc.Health.V1;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using static Grpc.Health.V1.HealthCheckResponse.Types;

namespace RuleEngineNats.Offline.Clients;

public sealed class GrpcHealthTests
{
    [Theory]
    [InlineData(HealthStatus.Healthy, ServingStatus.Serving)]
    [InlineData(HealthStatus.Degraded, ServingStatus.Serving)]
    [InlineData(HealthStatus.Unhealthy, ServingStatus.NotServing)]
    public async Task Check_runs_the_health_checks(HealthStatus status, ServingStatus expected)
    {
        await using var server = await GrpcServer.StartAsync();
        server.Check.Status = status;

        var answer = await new Health.HealthClient(server.Channel).CheckAsync(new HealthCheckRequest(), cancellationToken: GrpcServer.Deadline());

        Assert.Equal(expected, answer.Status);
    }

    [Fact]
    public async Task A_service_answers_for_the_checks_mapped_to_it_and_an_unknown_one_is_not_found()
    {
        await using var server = await GrpcServer.StartAsync(static options =>
        {
            options.Services.Map("mapped", static check => check.Tags.Contains("one"));
            options.Services.Map("nothing", static check => check.Name == "other");
        });
        var client = new Health.HealthClient(server.Channel);

        Assert.Equal(ServingStatus.Serving, (await Check("mapped")).Status);
        Assert.Equal(ServingStatus.Unknown, (await Check("nothing")).Status);
        Assert.Equal(StatusCode.NotFound, (await Assert.ThrowsAsync<RpcException>(() => Check("unknown"))).StatusCode);

        Task<HealthCheckResponse> Check(string service) =>
            client.CheckAsync(new HealthCheckRequest { Service = service }, cancellationToken: GrpcServer.Deadline()).ResponseAsync;
    }

    [Fact]
    public async Task Watch_tells_of_changes_and_ends_with_the_server()
    {
        await using var server = await GrpcServer.StartAsync();
        using var call = new Health.HealthClient(server.Channel).Watch(new HealthCheckRequest(), cancellationToken: GrpcServer.Deadline());
        await Until(ServingStatus.Serving);

        server.Check.Status = HealthStatus.Unhealthy;
        await Until(ServingStatus.NotServing);
        server.Check.Status = HealthStatus.Healthy;
        await Until(ServingStatus.Serving);

        var stop = server.StopAsync();
        await Until(ServingStatus.NotServing);
        Assert.False(await call.ResponseStream.MoveNext(GrpcServer.Deadline()));
        await stop;

        async Task Until(ServingStatus expected)
        {
            do
            {
                Assert.True(await call.ResponseStream.MoveNext(GrpcServer.Deadline()));
            }
            while (call.ResponseStream.Current.Status != expected);
        }
    }
}
