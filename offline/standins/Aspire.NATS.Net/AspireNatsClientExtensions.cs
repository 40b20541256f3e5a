using Aspire.NATS.Net;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Net;

namespace Microsoft.Extensions.Hosting;

/// <summary>Registers a <see cref="NatsConnection"/> by the name of a connection string.</summary>
public static class AspireNatsClientExtensions
{
    private const string Section = "Aspire:NATS:Net";

    public static void AddNatsClient(this IHostApplicationBuilder builder, string connectionName) =>
        Register(builder, connectionName, null, null, null);

    public static void AddNatsClient(this IHostApplicationBuilder builder, string connectionName, Action<NatsClientSettings>? configureSettings) =>
        Register(builder, connectionName, null, configureSettings, null);

    public static void AddNatsClient(this IHostApplicationBuilder builder, string connectionName, Func<NatsOpts, NatsOpts>? configureOptions) =>
        Register(builder, connectionName, null, null, WithoutProvider(configureOptions));

    public static void AddNatsClient(this IHostApplicationBuilder builder, string connectionName, Func<IServiceProvider, NatsOpts, NatsOpts>? configureOptions) =>
        Register(builder, connectionName, null, null, configureOptions);

    public static void AddNatsClient(this IHostApplicationBuilder builder, string connectionName, Action<NatsClientSettings>? configureSettings, Func<NatsOpts, NatsOpts>? configureOptions) =>
        Register(builder, connectionName, null, configureSettings, WithoutProvider(configureOptions));

    public static void AddNatsClient(this IHostApplicationBuilder builder, string connectionName, Action<NatsClientSettings>? configureSettings, Func<IServiceProvider, NatsOpts, NatsOpts>? configureOptions) =>
        Register(builder, connectionName, null, configureSettings, configureOptions);

    public static void AddKeyedNatsClient(this IHostApplicationBuilder builder, string name) =>
        RegisterKeyed(builder, name, null, null);

    public static void AddKeyedNatsClient(this IHostApplicationBuilder builder, string name, Action<NatsClientSettings>? configureSettings) =>
        RegisterKeyed(builder, name, configureSettings, null);

    public static void AddKeyedNatsClient(this IHostApplicationBuilder builder, string name, Func<NatsOpts, NatsOpts>? configureOptions) =>
        RegisterKeyed(builder, name, null, WithoutProvider(configureOptions));

    public static void AddKeyedNatsClient(this IHostApplicationBuilder builder, string name, Func<IServiceProvider, NatsOpts, NatsOpts>? configureOptions) =>
        RegisterKeyed(builder, name, null, configureOptions);

    public static void AddKeyedNatsClient(this IHostApplicationBuilder builder, string name, Action<NatsClientSettings>? configureSettings, Func<NatsOpts, NatsOpts>? configureOptions) =>
        RegisterKeyed(builder, name, configureSettings, WithoutProvider(configureOptions));

    public static void AddKeyedNatsClient(this IHostApplicationBuilder builder, string name, Action<NatsClientSettings>? configureSettings, Func<IServiceProvider, NatsOpts, NatsOpts>? configureOptions) =>
        RegisterKeyed(builder, name, configureSettings, configureOptions);

    public static void AddNatsJetStream(this IHostApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.AddSingleton<INatsJSContext>(static provider =>
            new NatsJSContextFactory().CreateContext(provider.GetRequiredService<INatsConnection>()));
    }

    private static void RegisterKeyed(
        IHostApplicationBuilder builder,
        string name,
        Action<NatsClientSettings>? configureSettings,
        Func<IServiceProvider, NatsOpts, NatsOpts>? configureOptions)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        Register(builder, name, name, configureSettings, configureOptions);
    }

    private static void Register(
        IHostApplicationBuilder builder,
        string connectionName,
        string? serviceKey,
        Action<NatsClientSettings>? configureSettings,
        Func<IServiceProvider, NatsOpts, NatsOpts>? configureOptions)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentException.ThrowIfNullOrEmpty(connectionName);

        var settings = ReadSettings(builder.Configuration, connectionName);
        configureSettings?.Invoke(settings);

        AddConnection(builder.Services, serviceKey, provider =>
        {
            var options = NatsOpts.Default with
            {
                LoggerFactory = provider.GetRequiredService<ILoggerFactory>(),
                SerializerRegistry = NatsClientDefaultSerializerRegistry.Default,
            };
            options = configureOptions?.Invoke(provider, options) ?? options;

            // The URL comes last: what the AppHost injected wins over what the callback set.
            return new NatsConnection(options with
            {
                Url = settings.ConnectionString
                    ?? throw new InvalidOperationException($"NATS connection string not found: {connectionName}"),
            });
        });

        if (!settings.DisableHealthChecks)
        {
            AddHealthCheck(builder, serviceKey);
        }

        if (!settings.DisableTracing)
        {
            builder.Services.AddOpenTelemetry().WithTracing(static tracing => tracing.AddSource("NATS.Net"));
        }
    }

    private static NatsClientSettings ReadSettings(IConfiguration configuration, string connectionName)
    {
        var settings = new NatsClientSettings();
        var section = configuration.GetSection(Section);
        section.Bind(settings);
        section.GetSection(connectionName).Bind(settings);
        settings.ConnectionString = configuration.GetConnectionString(connectionName) ?? settings.ConnectionString;
        return settings;
    }

    private static void AddConnection(IServiceCollection services, string? key, Func<IServiceProvider, NatsConnection> create)
    {
        if (key is null)
        {
            services.TryAddSingleton(create);
            services.TryAddSingleton<INatsConnection>(static provider => provider.GetRequiredService<NatsConnection>());
            services.TryAddSingleton<INatsClient>(static provider => provider.GetRequiredService<NatsConnection>());
        }
        else
        {
            services.TryAddKeyedSingleton(key, (provider, _) => create(provider));
            services.TryAddKeyedSingleton<INatsConnection>(key, static (provider, key) => provider.GetRequiredKeyedService<NatsConnection>(key));
            services.TryAddKeyedSingleton<INatsClient>(key, static (provider, key) => provider.GetRequiredKeyedService<NatsConnection>(key));
        }
    }

    private static void AddHealthCheck(IHostApplicationBuilder builder, string? key)
    {
        var name = key is null ? "NATS" : $"NATS_{key}";

        // Asking twice for the same client is allowed; two health checks of one name are not.
        if (!builder.Properties.TryAdd($"Aspire.HealthChecks.{name}", true))
        {
            return;
        }

        builder.Services.AddHealthChecks().Add(new HealthCheckRegistration(
            name,
            provider => new NatsHealthCheck(key is null
                ? provider.GetRequiredService<INatsConnection>()
                : provider.GetRequiredKeyedService<INatsConnection>(key)),
            failureStatus: default,
            tags: default,
            timeout: default));
    }

    private static Func<IServiceProvider, NatsOpts, NatsOpts>? WithoutProvider(Func<NatsOpts, NatsOpts>? configureOptions) =>
        configureOptions is null ? null : (_, options) => configureOptions(options);
}
