using System.ComponentModel.DataAnnotations;

namespace RuleEngineNats.ConfigService;

/// <summary>Settings of this service; configuration section <c>ConfigService</c>.</summary>
internal sealed class ConfigServiceOptions
{
    /// <summary>Name of the configuration section.</summary>
    public const string Section = "ConfigService";

    /// <summary>Largest request body in bytes. Default 64 KiB: a webhook with all its headers or a stream with 64 subjects fits three times. A larger one is answered with 413.</summary>
    [Range(1024, 1024 * 1024)]
    public int MaxRequestBodyBytes { get; set; } = 64 * 1024;

    /// <summary>How often the streams are compared with their definitions when nothing has changed. Default 30 s: the longest time a stream that somebody deleted stays away.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan ProvisionEvery { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>How soon it is tried again while the service is not ready or a stream could not be provisioned. Default 1 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:01:00")]
    public TimeSpan ProvisionRetry { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Longest wait for nats-server's answer about a stream. Default 2 s; after it the answer to the client says that the server is unreachable.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:00:30")]
    public TimeSpan ServerTimeout { get; set; } = TimeSpan.FromSeconds(2);
}
