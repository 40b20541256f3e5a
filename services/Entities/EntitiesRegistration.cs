using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;

namespace RuleEngineNats.Entities;

/// <summary>Registers this assembly's parts.</summary>
public static class EntitiesRegistration
{
    /// <summary>Registers <see cref="EntityFolder"/> with <see cref="IngestionEntitiesOptions"/>.</summary>
    public static TBuilder AddEntities<TBuilder>(this TBuilder builder)
        where TBuilder : IHostApplicationBuilder
    {
        builder.Services.AddOptions<IngestionEntitiesOptions>().BindConfiguration(IngestionEntitiesOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.Services.AddSingleton<EntityFolder>();
        builder.Services.AddHostedService(services => services.GetRequiredService<EntityFolder>());
        return builder;
    }
}
