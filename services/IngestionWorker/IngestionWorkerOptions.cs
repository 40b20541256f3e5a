using System.ComponentModel.DataAnnotations;

namespace RuleEngineNats.IngestionWorker;

/// <summary>How documents get from the stream <c>MESSAGES</c> into entity tables. Section <c>Ingestion:Worker</c>.</summary>
public sealed class IngestionWorkerOptions
{
    /// <summary>Name of the section.</summary>
    public const string Section = "Ingestion:Worker";

    /// <summary>Default 1,000: most documents of one transaction. More costs less for each, and repeats more after a crash.</summary>
    [Range(1, 5000)]
    public int BatchSize { get; set; } = 1000;

    /// <summary>Default 8 MiB: most bytes of one transaction, so that large documents make small batches.</summary>
    [Range(1024 * 1024, 256 * 1024 * 1024)]
    public int BatchBytes { get; set; } = 8 * 1024 * 1024;

    /// <summary>Default 10 ms: how long a batch that is not full waits for more after its first document. 0 stores each as soon as it comes.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:00:10")]
    public TimeSpan BatchDelay { get; set; } = TimeSpan.FromMilliseconds(10);

    /// <summary>Default 2: batches in work at once, each with a connection to PostgreSQL: one is read while another is written. One more is fetched ahead.</summary>
    [Range(1, 16)]
    public int Concurrency { get; set; } = 2;

    /// <summary>Default 64 MiB: most bytes of documents fetched and not settled. The document that goes beyond it is still taken.</summary>
    [Range(1024 * 1024, 1024 * 1024 * 1024)]
    public long HeldBytes { get; set; } = 64 * 1024 * 1024;

    /// <summary>Default 60 s: ack_wait of the shared consumer: what a worker that died had in work goes to another after this.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan AckWait { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>Default 20 s: how often progress is reported for what waits here; a third of <see cref="AckWait"/> survives two lost reports.</summary>
    [Range(typeof(TimeSpan), "00:00:00.100", "00:20:00")]
    public TimeSpan ProgressEvery { get; set; } = TimeSpan.FromSeconds(20);

    /// <summary>
    /// Default 5 s: pause before a document whose parent row is missing is tried again; it doubles up to 5 minutes. While they wait such documents hold one of the
    /// consumer's 50,000 places each, and keep what came after them from being removed at 80 % of the stream.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "00:05:00")]
    public TimeSpan RetryDelay { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Default 8: attempts at such a document, over about 10 minutes, after which it becomes a dead letter.</summary>
    [Range(1, 100)]
    public int MaxAttempts { get; set; } = 8;

    /// <summary>Default 20: deliveries after which a document becomes a dead letter unread: it seems to end every process that takes it. From half of that on it is taken alone.</summary>
    [Range(2, 1000)]
    public int MaxDeliveries { get; set; } = 20;

    /// <summary>Default 25 s: time after a stop signal for what is in work; what has not ended then is given back.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:10:00")]
    public TimeSpan DrainTimeout { get; set; } = TimeSpan.FromSeconds(25);

    /// <summary>Default 0.8: the part of <c>MESSAGES</c> from which on what is stored is removed from it.</summary>
    [Range(0.1, 1.0)]
    public double TrimAt { get; set; } = 0.8;

    /// <summary>
    /// Default 30 days: how long the row of a completed document or a dead letter is kept in <c>message_status</c>, and that of a batch. It is never less than both streams keep
    /// messages, or a document could be stored a second time.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:01", "3650.00:00:00")]
    public TimeSpan StatusRetention { get; set; } = TimeSpan.FromDays(30);

    /// <summary>Default: the machine's name. Under which name this worker counts in <c>ingest_totals</c>.</summary>
    public string? Name { get; set; }
}
