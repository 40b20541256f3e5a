using System.ComponentModel.DataAnnotations;

namespace RuleEngineNats.CdcRelay;

/// <summary>Section <c>Changes</c>: how captures of row changes are run. What is captured is in <c>rule_cdc_captures</c>.</summary>
internal sealed class ChangesOptions
{
    public const string Section = "Changes";

    /// <summary>Between two readings of <c>rule_cdc_captures</c>, and two reports in <c>rule_cdc_reports</c>. Default 1 s: how long a change takes to be followed.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:00:05")]
    public TimeSpan Interval { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Before a capture that failed, and that nobody has changed since, is tried again. Default 30 s.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan RetryFailed { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Events of one capture that await their PubAck at once. Default 1,024.</summary>
    [Range(1, 60_000)]
    public int MaxInFlight { get; set; } = 1024;

    /// <summary>Where transactions larger than the server's logical_decoding_work_mem wait for their commit. Default: the system's folder for temporary files; it must hold the largest of them.</summary>
    [Required]
    public string SpoolDirectory { get; set; } = Path.GetTempPath();

    /// <summary>Where captures with <c>wal_policy</c> <c>spill</c> keep what NATS does not take: durable storage, which all replicas share. Default null: such a capture fails and says so.</summary>
    public string? SpillDirectory { get; set; }

    /// <summary>Goes before each value of <c>hash_columns</c> that is hashed; the same for all replicas. Without it anyone can try out what a short value was. Default empty.</summary>
    public string HashSalt { get; set; } = "";
}
