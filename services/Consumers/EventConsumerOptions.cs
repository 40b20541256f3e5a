using System.ComponentModel.DataAnnotations;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.Consumers;

/// <summary>How one consumer gets its events. Section <c>EventConsumers:&lt;consumer&gt;</c>.</summary>
public sealed class EventConsumerOptions
{
    /// <summary>Name of the section above those of the consumers.</summary>
    public const string Section = "EventConsumers";

    /// <summary>Default <c>default</c>: the row of <c>rule_nats_config</c> whose server and stream definitions are used.</summary>
    [Required]
    public string Config { get; set; } = ConnectionNames.DefaultConfig;

    /// <summary>Default 16: events in work at once in this process. 1 keeps the stream's order as long as nothing fails; all processes together have at most 256.</summary>
    [Range(1, 256)]
    public int Concurrency { get; set; } = 16;

    /// <summary>Default 60 s: what a process that died had in work goes to another, or comes again, after this.</summary>
    [Range(typeof(TimeSpan), "00:00:02", "01:00:00")]
    public TimeSpan AckWait { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>Default 20 s: how often progress is reported for an event in work, so that it may take as long as it needs. At most half of <see cref="AckWait"/>.</summary>
    [Range(typeof(TimeSpan), "00:00:00.500", "00:20:00")]
    public TimeSpan ProgressEvery { get; set; } = TimeSpan.FromSeconds(20);

    /// <summary>Default 10: deliveries of an event after which it is given up with a log line, whether the consumer threw or the process died. It stays in the stream.</summary>
    [Range(1, 1000)]
    public int MaxAttempts { get; set; } = 10;

    /// <summary>Default 5 s: pause after the first exception; it doubles up to 5 minutes. Events that wait hold one of the 256 places, so a long pause with many failures stalls the rest.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "00:05:00")]
    public TimeSpan RetryDelay { get; set; } = TimeSpan.FromSeconds(5);
}
