using System.Collections.Concurrent;
using MassTransit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.Consumers.Tests;

/// <summary>What the tests' consumer reads.</summary>
public sealed record Order
{
    [System.Text.Json.Serialization.JsonPropertyName("order")]
    public string? Number { get; init; }
}

/// <summary>What the consumer of a test does, and what it got.</summary>
public sealed class Behaviour
{
    public Func<ConsumeContext<Order>, Task> Do { get; set; } = static _ => Task.CompletedTask;

    public ConcurrentQueue<(ReceivedEvent Event, Order Order)> Got { get; } = new();

    public IEnumerable<string> Ids => Got.Select(got => got.Event.Id);
}

public sealed class OrderConsumer(Behaviour behaviour) : IConsumer<Order>
{
    public async Task Consume(ConsumeContext<Order> context)
    {
        behaviour.Got.Enqueue((context.Event(), context.Message));
        await behaviour.Do(context);
    }
}

/// <summary>A user's host in this process: it shows what the pipeline gives to a consumer.</summary>
internal sealed class ConsumerHost : IAsyncDisposable
{
    public const string Name = "orders";

    private readonly IHost _host;
    private readonly Lines _lines;

    private ConsumerHost(IHost host, Lines lines) => (_host, _lines) = (host, lines);

    public string Log => string.Join('\n', _lines.All);

    public static HostApplicationBuilder Builder(string rules, string nats)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new());
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?> { ["ConnectionStrings:rules"] = rules, ["ConnectionStrings:nats"] = nats });
        builder.AddNpgsqlDataSource("rules");
        builder.AddMessaging();
        return builder;
    }

    public static async Task<ConsumerHost> StartAsync(Stream stream, Behaviour behaviour, Action<EventConsumerOptions>? configure = null, string filter = "webhooks.orders.>")
    {
        var builder = Builder(stream.ConnectionString, stream.Nats.Url);
        var lines = new Lines();
        builder.Logging.AddProvider(lines);
        builder.Services.AddSingleton(behaviour);
        builder.AddEventConsumer<OrderConsumer, Order>(filter, Name, configure);
        var host = builder.Build();
        await host.StartAsync();
        return new(host, lines);
    }

    public Task StopAsync() => _host.StopAsync();

    public async Task<string> HealthAsync()
    {
        var report = await _host.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync();
        return $"{report.Status}: {report.Entries[$"consumer {Name}"].Description}";
    }

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync();
        _host.Dispose();
    }

    private sealed class Lines : ILoggerProvider, ILogger
    {
        public ConcurrentQueue<string> All { get; } = new();

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Information;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
            => All.Enqueue($"{logLevel}: {formatter(state, exception)}");

        public void Dispose()
        {
            // It holds nothing.
        }
    }
}
