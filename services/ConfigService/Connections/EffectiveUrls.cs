using RuleEngineNats.Contracts;

namespace RuleEngineNats.ConfigService.Connections;

/// <summary>Which URL a configuration is used with here: its row's, or for default the connection string of this service.</summary>
internal sealed class EffectiveUrls(IConfiguration configuration)
{
    public string Of(string name, string url)
        => name == ConnectionNames.DefaultConfig && configuration.GetConnectionString(ConnectionNames.Nats) is { Length: > 0 } own ? own : url;
}
