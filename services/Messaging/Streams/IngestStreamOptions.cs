using System.ComponentModel.DataAnnotations;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.Messaging;

/// <summary>The two streams of ingestion, where they have to be made. Section <c>Ingestion:Streams</c>; the API and the worker are given the same.</summary>
public sealed class IngestStreamOptions
{
    /// <summary>Name of the section.</summary>
    public const string Section = "Ingestion:Streams";

    /// <summary>Default <c>default</c>: the row of <c>rule_nats_config</c> whose server they are on.</summary>
    [Required]
    public string Config { get; set; } = ConnectionNames.DefaultConfig;

    /// <summary>Most bytes of <c>MESSAGES</c>. Default 1 GiB. What a worker has stored is removed at 80 %; what fills the rest waits for one, and new documents get 503.</summary>
    [Range(1024 * 1024, long.MaxValue)]
    public long MaxBytes { get; set; } = 1024 * 1024 * 1024;

    /// <summary>How long a document waits in <c>MESSAGES</c> for a worker before the server drops it. Default 24 h: the longest outage of PostgreSQL that loses nothing.</summary>
    [Range(typeof(TimeSpan), "00:02:00", "365.00:00:00")]
    public TimeSpan MaxAge { get; set; } = TimeSpan.FromHours(24);

    /// <summary>Most bytes of <c>MESSAGESDLQ</c>. Default 1 GiB. When it is full, workers wait: a document is never given up for want of room.</summary>
    [Range(1024 * 1024, long.MaxValue)]
    public long DeadLetterMaxBytes { get; set; } = 1024 * 1024 * 1024;

    /// <summary>How long a dead letter can be inspected and sent again. Default 7 days; its row in <c>message_status</c> stays.</summary>
    [Range(typeof(TimeSpan), "00:02:00", "365.00:00:00")]
    public TimeSpan DeadLetterMaxAge { get; set; } = TimeSpan.FromDays(7);

    /// <summary>Copies of each in a cluster. Default 1; 3 survive the loss of a server.</summary>
    [Range(1, 5)]
    public int Replicas { get; set; } = 1;

    /// <summary>How long the server remembers message ids. Default 2 min; a key that comes again after that is found in <c>message_status</c>.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan DuplicateWindow { get; set; } = TimeSpan.FromMinutes(2);
}
