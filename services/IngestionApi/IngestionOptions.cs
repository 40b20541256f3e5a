using System.ComponentModel.DataAnnotations;

namespace RuleEngineNats.IngestionApi;

/// <summary>What this service takes, and how much of it at once. Section <c>Ingestion</c>.</summary>
internal sealed class IngestionOptions
{
    /// <summary>Name of the section.</summary>
    public const string Section = "Ingestion";

    /// <summary>The longest address of a request in bytes; above it 414.</summary>
    public const int MaxUrlBytes = 8 * 1024;

    /// <summary>Bytes of an envelope that fits into a message beside its headers; a document that does not is refused with 413.</summary>
    public const int MaxEnvelopeBytes = 495 * 1024;

    /// <summary>Largest document of <c>POST /ingest/message</c> in bytes, decompressed. Default 256 KiB; above it 413. At most 480 KiB: with its envelope it has to fit into a message.</summary>
    [Range(1024, 480 * 1024)]
    public int MaxMessageBytes { get; set; } = 256 * 1024;

    /// <summary>Largest line or array element of a batch in bytes. Default 256 KiB; above it that line is refused (413) and the rest goes on.</summary>
    [Range(1024, 480 * 1024)]
    public int MaxLineBytes { get; set; } = 256 * 1024;

    /// <summary>Largest batch in bytes, compressed and decompressed. Default 8 MiB. What comes beyond it is refused (413); lines before it stay accepted.</summary>
    [Range(1024, 1024 * 1024 * 1024)]
    public int MaxBatchBytes { get; set; } = 8 * 1024 * 1024;

    /// <summary>Most lines of a batch. Default 10,000; those beyond it are refused together (413), those before it stay accepted. Each costs some 30 bytes of memory until the answer is sent.</summary>
    [Range(1, 100_000)]
    public int MaxLines { get; set; } = 10_000;

    /// <summary>Lines of one batch that are on their way to nats-server at once. Default 256; they have at most 4 MiB together.</summary>
    [Range(1, 4096)]
    public int BatchWindow { get; set; } = 256;

    /// <summary>Single documents on their way to nats-server at once. Default 256. Above it 503 with Retry-After; bodies that are still coming do not count.</summary>
    [Range(1, 100_000)]
    public int ConcurrentRequests { get; set; } = 256;

    /// <summary>Batches with lines on their way to nats-server at once. Default 16. A further one waits up to <see cref="BatchPatience"/>, then 503.</summary>
    [Range(1, 1000)]
    public int ConcurrentBatches { get; set; } = 16;

    /// <summary>How long a batch waits for a place among <see cref="ConcurrentBatches"/>. Default 2 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "00:01:00")]
    public TimeSpan BatchPatience { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>Requests a second for each client; 0, the default, for no limit. Above it, with a burst of one second's worth, 429 with Retry-After. A client is its <c>X-Api-Key</c>, else its address.</summary>
    [Range(0, 1_000_000)]
    public double RequestsPerSecond { get; set; }

    /// <summary>
    /// Clients with a rate of their own: the SHA-256 of the <c>X-Api-Key</c> in lower-case hexadecimal, and requests a second (0 for no limit). Where any is named, a key that is not counts as none:
    /// its requests count by address. Empty by default: each key has <see cref="RequestsPerSecond"/>, so a client can have as many as it makes up keys.
    /// </summary>
    public Dictionary<string, double> RequestsPerSecondByKey { get; } = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Least bytes a second of a body after <see cref="BodyGrace"/>. Default 240; a slower one gets 408. 0 for no limit.</summary>
    [Range(0, 1024 * 1024)]
    public double MinBodyBytesPerSecond { get; set; } = 240;

    /// <summary>How long a body may be slower. Default 5 s.</summary>
    [Range(typeof(TimeSpan), "00:00:02", "00:05:00")]
    public TimeSpan BodyGrace { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Time for the headers of a request. Default 10 s; then the connection is closed.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:05:00")]
    public TimeSpan HeadersTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Most connections. Default 1,000; further ones are closed at once. Each may hold one document of <see cref="MaxMessageBytes"/> while it comes.</summary>
    [Range(1, 100_000)]
    public int MaxConnections { get; set; } = 1000;

    /// <summary>Share of the stream's bytes that must be free for new documents. Default 0.02; below it 503 with the time in which a worker will have made room.</summary>
    [Range(0, 0.5)]
    public double MinFreeShare { get; set; } = 0.02;

    /// <summary>How long an idempotency key is looked up in PostgreSQL before the request goes on without. Default 250 ms. The stream knows keys of the last two minutes in any case.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "00:00:10")]
    public TimeSpan KeyLookup { get; set; } = TimeSpan.FromMilliseconds(250);

    /// <summary>Batch rows that wait for PostgreSQL. Default 10,000; beyond it they are dropped and counted, and the batch's status is made from its lines alone.</summary>
    [Range(1, 1_000_000)]
    public int BatchRowCapacity { get; set; } = 10_000;

    /// <summary>Origins of browsers that may call this service, such as <c>https://app.example.com</c>. Default none.</summary>
    public string[] CorsOrigins { get; set; } = [];
}
