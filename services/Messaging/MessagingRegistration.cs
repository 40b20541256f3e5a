using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using NATS.Client.Core;

namespace RuleEngineNats.Messaging;

/// <summary>Registers this assembly's parts.</summary>
public static class MessagingRegistration
{
    /// <summary>
    /// Registers <see cref="ConfigWatcher"/>, <see cref="NatsConnections"/>, <see cref="EventPublisher"/>, <see cref="PayloadObjects"/>, <see cref="EventBodies"/>, <see cref="StreamProvisioner"/>,
    /// <see cref="HistoryWriter"/> and the reports of <c>rule_nats_service_reports</c>. The service itself registers the <c>NpgsqlDataSource</c> with
    /// <c>AddNpgsqlDataSource("rules")</c>.
    /// </summary>
    public static TBuilder AddMessaging<TBuilder>(this TBuilder builder)
        where TBuilder : IHostApplicationBuilder
    {
        // Acknowledgements and pulls ($JS.ACK, $JS.API, answers to _INBOX) belong to a publish or a delivery, which has its span: more of them would bury it.
        NatsInstrumentationOptions.Default.Filter = static context =>
            !context.Subject.StartsWith("_INBOX.", StringComparison.Ordinal) && !context.Subject.StartsWith("$JS.", StringComparison.Ordinal);
        builder.Services.AddOptions<MessagingOptions>().BindConfiguration(MessagingOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        builder.Services.AddOptions<SecretsOptions>().BindConfiguration(SecretsOptions.Section).ValidateOnStart();
        builder.Services.AddSingleton<IValidateOptions<SecretsOptions>, SecretsOptionsRules>();
        builder.Services.AddSingleton<SecretBox>();
        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.Services.AddSingleton<ConfigWatcher>();
        builder.Services.AddHostedService(services => services.GetRequiredService<ConfigWatcher>());
        builder.Services.AddSingleton<NatsConnections>();
        builder.Services.AddSingleton<PayloadObjects>();
        builder.Services.AddSingleton<EventBodies>();
        builder.Services.AddSingleton<EventPublisher>();
        builder.Services.AddSingleton<StreamProvisioner>();
        builder.Services.AddSingleton<HistoryWriter>();
        builder.Services.AddHostedService(services => services.GetRequiredService<HistoryWriter>());
        builder.Services.AddHostedService<ServiceReports>();
        builder.Services.AddHealthChecks()
            .AddCheck<ConfigurationHealth>("configuration", tags: ["ready"])
            .AddCheck<NatsHealth>("nats", tags: ["ready"]);
        return builder;
    }
}
