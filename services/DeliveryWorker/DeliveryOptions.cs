using System.ComponentModel.DataAnnotations;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.DeliveryWorker;

/// <summary>How events get from streams and the queue to endpoints. Section <c>Delivery</c>.</summary>
public sealed class DeliveryOptions
{
    public const string Section = "Delivery";

    /// <summary>
    /// Default 64: events of one stream in work at once; half as many, at most 32, are fetched ahead. More hides slower endpoints and raises what is sent again
    /// after a crash; the shared consumer lets 256 be unacknowledged over all workers.
    /// </summary>
    [Range(1, 256)]
    public int Concurrency { get; set; } = 64;

    /// <summary>Default 128: calls of the PostgreSQL queue in work at once, of all endpoints; those that take longer than <see cref="DetachAfter"/> no longer count.</summary>
    [Range(1, 1024)]
    public int QueueConcurrency { get; set; } = 128;

    /// <summary>Default 100 ms: how long an event from a stream waits for a place at its endpoint before it is left to the queue. Longer holds up events of other endpoints.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:00:10")]
    public TimeSpan SpillAfter { get; set; } = TimeSpan.FromMilliseconds(100);

    /// <summary>
    /// Default 1 s: an attempt that takes longer goes on as a leased call, and its event is acknowledged: slow endpoints hold no place of the stream. Shorter
    /// costs a row for endpoints that merely take their time.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "00:01:00")]
    public TimeSpan DetachAfter { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Default 1,024: attempts that go on so at once. Beyond that they hold their places, since each costs memory and a connection.</summary>
    [Range(0, 65536)]
    public int MaxDetached { get; set; } = 1024;

    /// <summary>Default 60 s: the least pause after 429, 502, 503 or 504; the receiver may ask for more.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "01:00:00")]
    public TimeSpan ThrottledDelay { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>Default 0.2: repeats for each first attempt at an endpoint. More lets an endpoint that comes back be hit by what piled up meanwhile.</summary>
    [Range(0.0, 1.0)]
    public double RetryShare { get; set; } = 0.2;

    /// <summary>Default 10: repeats a second at one endpoint that need no first attempts beside them.</summary>
    [Range(0.1, 10000.0)]
    public double RetriesPerSecond { get; set; } = 10;

    /// <summary>Default 100 ms: pause between two looks at the queue while it has work. Longer delays retries, shorter costs PostgreSQL queries.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "00:01:00")]
    public TimeSpan QueuePollBusy { get; set; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Default 1 s: the pause grows to this while the queue is empty, and is what a queued call waits at most.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "00:10:00")]
    public TimeSpan QueuePollIdle { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Default 60 s: a call leased by a worker that died is taken over after this. It must be longer than <see cref="MaxTimeout"/>.</summary>
    [Range(typeof(TimeSpan), "00:00:02", "01:00:00")]
    public TimeSpan Lease { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>Default 30 s: upper limit of a webhook's own timeout_ms; it must fit into <see cref="DrainTimeout"/> and <see cref="Lease"/> or a stop cuts requests off.</summary>
    [Range(typeof(TimeSpan), "00:00:00.100", "00:01:00")]
    public TimeSpan MaxTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Default 60 s: ack_wait of the shared consumer, after which the server gives an event to another worker unless it hears of progress.</summary>
    [Range(typeof(TimeSpan), "00:00:02", "01:00:00")]
    public TimeSpan AckWait { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>Default 20 s: how often progress is reported for an event in work; a third of <see cref="AckWait"/> survives two lost reports.</summary>
    [Range(typeof(TimeSpan), "00:00:00.500", "00:20:00")]
    public TimeSpan ProgressEvery { get; set; } = TimeSpan.FromSeconds(20);

    /// <summary>Default 25 s: time after a stop signal for what is in flight; what has not ended then is given back.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:10:00")]
    public TimeSpan DrainTimeout { get; set; } = TimeSpan.FromSeconds(25);

    /// <summary>Default 256: most attempts written to PostgreSQL in one transaction. What waits meanwhile forms the next.</summary>
    [Range(1, 4096)]
    public int WriteBatch { get; set; } = 256;

    /// <summary>Where deliveries may go.</summary>
    [Required]
    public EgressOptions Egress { get; set; } = new();
}
