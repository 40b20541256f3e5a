using System.ComponentModel.DataAnnotations;

namespace RuleEngineNats.PublishService;

/// <summary>Limits of the publish API; configuration section <c>Publish</c>.</summary>
public sealed class PublishOptions
{
    /// <summary>Name of the configuration section.</summary>
    public const string Section = "Publish";

    /// <summary>Time for a call whose client set no deadline. Default 5 s: without one, calls would pile up behind a server that hangs.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:05:00")]
    public TimeSpan DefaultDeadline { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Longest time for a call, whatever deadline the client set. Default 30 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:05:00")]
    public TimeSpan MaxDeadline { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Publish and PublishBatch calls at work at once. Default 256; more only wait for the same two cores.</summary>
    [Range(1, 10_000)]
    public int ConcurrentCalls { get; set; } = 256;

    /// <summary>Calls that wait for their turn. Default 256; the next is RESOURCE_EXHAUSTED.</summary>
    [Range(0, 10_000)]
    public int QueuedCalls { get; set; } = 256;

    /// <summary>PublishStream calls at once. Default 256; the next is RESOURCE_EXHAUSTED.</summary>
    [Range(1, 10_000)]
    public int ConcurrentStreams { get; set; } = 256;

    /// <summary>Events of one stream on their way at once. Default 256: enough to hide the round trip to nats-server; then the client's writes wait.</summary>
    [Range(1, 8192)]
    public int StreamWindow { get; set; } = 256;

    /// <summary>Most items of a batch. Default 500.</summary>
    [Range(1, 10_000)]
    public int BatchSize { get; set; } = 500;
}
