using System.ComponentModel.DataAnnotations;

namespace RuleEngineNats.DeliveryWorker.Replays;

/// <summary>How replays are carried out. Section <c>Replays</c>.</summary>
public sealed class ReplayOptions
{
    /// <summary>Name of the section.</summary>
    public const string Section = "Replays";

    /// <summary>Default 4: replays that one worker carries out at once; others wait, or go to another worker. Each holds up to <see cref="ReadAheadBytes"/>.</summary>
    [Range(0, 64)]
    public int Concurrency { get; set; } = 4;

    /// <summary>Default 1 s: how often a worker looks for a replay; what one waits until it begins.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "00:01:00")]
    public TimeSpan PollEvery { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Default 15 s: the replay of a worker that died is taken over after this. It must be several times <see cref="RenewEvery"/>.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:10:00")]
    public TimeSpan Lease { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>Default 500 ms: how often a worker says that it is there, and learns that a replay was cancelled.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "00:00:02")]
    public TimeSpan RenewEvery { get; set; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Default 500: most events that are put into the queue in one transaction. What was not committed is read again after a crash.</summary>
    [Range(1, 500)]
    public int Batch { get; set; } = 500;

    /// <summary>Default 16 MiB: the most that one replay reads ahead, by the size of the events it has seen; a single event may be larger.</summary>
    [Range(1 << 20, 1 << 30)]
    public int ReadAheadBytes { get; set; } = 16 << 20;

    /// <summary>
    /// Default 5,000: a replay pauses while more of its calls than this wait for their delivery, so that a long one does not fill the table. Fewer holds up a
    /// fast endpoint.
    /// </summary>
    [Range(1, 1_000_000)]
    public int MaxDue { get; set; } = 5000;

    /// <summary>Default 10 s: time for nats-server to answer, after which the replay says what it waits for and is begun again. Shorter than a batch takes would repeat that for ever.</summary>
    [Range(typeof(TimeSpan), "00:00:00.100", "00:05:00")]
    public TimeSpan ServerTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Default 5 s: pause after nats-server or PostgreSQL could not be used.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "00:10:00")]
    public TimeSpan RetryAfter { get; set; } = TimeSpan.FromSeconds(5);
}
