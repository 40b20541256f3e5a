using MassTransit;
using MassTransit.Configuration;
using MassTransit.Transports;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.Consumers;

/// <summary>The extension point: a consumer of one's own beside the delivery worker, in a host of one's own.</summary>
public static class EventConsumers
{
    private static readonly TimeSpan MaxRetryDelay = TimeSpan.FromMinutes(5);

    // Of the host's time to stop, what remains for writing the last statistics.
    private static readonly TimeSpan AfterDrain = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Gives every event of a subject filter to a consumer class, through a durable of that name on the stream that has the filter. An event is
    /// acknowledged when <c>Consume</c> returns; when it throws, the event comes again, up to <see cref="EventConsumerOptions.MaxAttempts"/> times. Several
    /// processes that give the same name share the events. The host has called <c>AddNpgsqlDataSource("rules")</c> and <c>AddMessaging()</c>.
    /// </summary>
    /// <typeparam name="TConsumer">The consumer; a new one is made for each event, with what its constructor asks for.</typeparam>
    /// <typeparam name="TEvent">What the event's JSON is read into.</typeparam>
    /// <param name="builder">The host.</param>
    /// <param name="filter">Which subjects, e.g. <c>webhooks.orders.&gt;</c>.</param>
    /// <param name="consumer">Name of the durable on the server: A-Z, a-z, 0-9, <c>-</c> and <c>_</c>, at most 64. It remembers what was consumed.</param>
    /// <param name="configure">Changes of the options; section <c>EventConsumers:&lt;consumer&gt;</c> wins over them.</param>
    /// <exception cref="ArgumentException">The filter or the name cannot be used; the message says why.</exception>
    public static void AddEventConsumer<TConsumer, TEvent>(
        this IHostApplicationBuilder builder, string filter, string consumer, Action<EventConsumerOptions>? configure = null)
        where TConsumer : class, IConsumer<TEvent>
        where TEvent : class
    {
        EventConsumerNames.Check(filter, consumer);
        var services = builder.Services;
        if (services.Any(service => service.ServiceType == typeof(StreamPumps) && Equals(service.ServiceKey, consumer)))
        {
            throw new ArgumentException($"consumer: '{consumer}' is there already; two of one name would share the events");
        }

        services.AddOptions<EventConsumerOptions>(consumer)
            .Configure(configure ?? (static _ => { }))
            .BindConfiguration($"{EventConsumerOptions.Section}:{consumer}")
            .ValidateDataAnnotations()
            .Validate(static options => options.AckWait >= 2 * options.ProgressEvery, "AckWait must be at least twice ProgressEvery, or one lost report makes the event come again.")
            .ValidateOnStart();
        AddHost(services);
        services.RegisterConsumer<TConsumer>();
        // They stop in reverse order: the pump before its statistics.
        services.AddKeyedSingleton(consumer, (provider, _) => Pumps<TConsumer>(provider, filter, consumer));
        services.AddSingleton<IHostedService>(provider => new ConsumerStats(
            provider.GetRequiredKeyedService<StreamPumps>(consumer), provider.GetRequiredService<NpgsqlDataSource>(), provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<ConsumerStats>>()));
        services.AddSingleton<IHostedService>(provider => provider.GetRequiredKeyedService<StreamPumps>(consumer));
        services.AddHealthChecks().Add(new HealthCheckRegistration(
            $"consumer {consumer}",
            provider => new StreamsCheck(provider.GetRequiredKeyedService<StreamPumps>(consumer), noStream: $"no enabled stream definition has {filter}"),
            failureStatus: null, tags: ["ready"]));
    }

    private static void AddHost(IServiceCollection services)
    {
        if (services.Any(service => service.ServiceType == typeof(Drain)))
        {
            return;
        }

        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<OpenConsumer>();
        services.AddSingleton(static provider => new Drain(
            provider.GetRequiredService<IHostApplicationLifetime>(), provider.GetRequiredService<IOptions<HostOptions>>().Value.ShutdownTimeout - AfterDrain,
            provider.GetRequiredService<TimeProvider>()));
        services.AddPumpedConsumers();
    }

    private static StreamPumps Pumps<TConsumer>(IServiceProvider provider, string filter, string consumer)
        where TConsumer : class, IConsumer
    {
        var options = provider.GetRequiredService<IOptionsMonitor<EventConsumerOptions>>().Get(consumer);
        var dispatch = new DispatchEvent<TConsumer>(provider.GetRequiredService<IReceiveEndpointDispatcher<TConsumer>>(), provider.GetRequiredService<EventBodies>(), consumer);
        var work = new PumpWork(
            SharedConsumer.Definition(consumer, options.AckWait, filter), dispatch.HandleAsync, options.Concurrency, options.ProgressEvery,
            new RedeliveryRule(options.RetryDelay, MaxRetryDelay, options.MaxAttempts));
        return ActivatorUtilities.CreateInstance<StreamPumps>(
            provider, (Func<NatsConfig, StreamDefinition, bool>)((config, stream) => config.Name == options.Config && stream.Has(filter)), work);
    }
}
