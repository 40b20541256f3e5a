using System.Diagnostics;
using System.Text;
using System.Text.Json;
using MassTransit;
using MassTransit.Configuration;
using MassTransit.Transports;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using RuleEngineNats.Consumers;
using IHost = Microsoft.Extensions.Hosting.IHost;

namespace RuleEngineNats.Benchmarks;

/// <summary>What MassTransit's receive pipeline costs a message: a dispatch, beside reading the same body and calling the same method. One at a time, nothing sent anywhere.</summary>
internal sealed class PipelineBenchmarks : IAsyncDisposable
{
    private static readonly byte[] Body = Encoding.UTF8.GetBytes($$"""{"order":"123456","total":12.50,"note":"{{new string('x', 200)}}"}""");
    private static readonly byte[] NoBody = [.. "{}"u8];

    private static readonly Dictionary<string, object> Headers = new()
    {
        ["Nats-Msg-Id"] = "1_order-123456",
        ["ce-id"] = "1_order-123456",
        ["ce-type"] = "order.created",
        ["ce-source"] = "/rule-engine",
        ["traceparent"] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    };

    private readonly IHost _host;
    private readonly IReceiveEndpointDispatcher<OrderConsumer> _dispatcher;

    private PipelineBenchmarks(IHost host) => (_host, _dispatcher) = (host, host.Services.GetRequiredService<IReceiveEndpointDispatcher<OrderConsumer>>());

    public static async Task<PipelineBenchmarks> StartAsync()
    {
        var builder = Host.CreateEmptyApplicationBuilder(new());
        builder.Logging.ClearProviders();
        builder.Services.AddPumpedConsumers();
        builder.Services.RegisterConsumer<OrderConsumer>();
        var host = builder.Build();
        await host.StartAsync();
        return new(host);
    }

    public IEnumerable<Row> Rows() =>
    [
        new("MassTransit pipeline, body of 250 bytes read", null, time => RunAsync(time, () => _dispatcher.Dispatch(Body, Headers, default)), DirectAsync),
        new("MassTransit pipeline, content beside an empty body", null, time => RunAsync(time, () => _dispatcher.Dispatch(NoBody, Headers, default)), DirectAsync),
    ];

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync();
        _host.Dispose();
    }

    private static Task<Run> DirectAsync(TimeSpan time)
    {
        var consumer = new OrderConsumer();
        return RunAsync(time, () => consumer.TakeAsync(JsonSerializer.Deserialize<BenchOrder>(Body, JsonSerializerOptions.Web)!));
    }

    private static async Task<Run> RunAsync(TimeSpan time, Func<Task> one)
    {
        var count = 0;
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed < time)
        {
            for (var n = 0; n < 100; n++)
            {
                await one();
            }

            count += 100;
        }

        return Run.Of(count, clock.Elapsed, []);
    }
}

public sealed record BenchOrder(string? Order, decimal Total, string? Note);

internal sealed class OrderConsumer : IConsumer<BenchOrder>
{
    private decimal _total;

    public Task Consume(ConsumeContext<BenchOrder> context) => TakeAsync(context.Message);

    public Task TakeAsync(BenchOrder order)
    {
        _total += order.Total;
        return Task.CompletedTask;
    }
}
