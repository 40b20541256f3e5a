using System.ComponentModel.DataAnnotations;

namespace RuleEngineNats.CdcRelay;

/// <summary>Section <c>Relay</c>: how the outbox gets from PostgreSQL to JetStream.</summary>
internal sealed class RelayOptions
{
    public const string Section = "Relay";

    /// <summary>
    /// The permanent logical slot that holds the relay's place in the WAL. Default <c>rule_nats_outbox</c>. Slot names are unique in
    /// a server, not in a database: two databases of one server need two names. Renaming leaves the old slot behind, which keeps WAL
    /// until it is dropped.
    /// </summary>
    [Required]
    [RegularExpression("^[a-z0-9_]{1,63}$", ErrorMessage = "Relay:SlotName may hold 1 to 63 of a-z, 0-9 and _ (PostgreSQL's rule)")]
    public string SlotName { get; set; } = "rule_nats_outbox";

    /// <summary>The publication the slot is read with; the migrations create it. Default <c>rule_nats_outbox</c>.</summary>
    [Required]
    [RegularExpression("^[a-z0-9_]{1,63}$")]
    public string Publication { get; set; } = "rule_nats_outbox";

    /// <summary>Publishes that await their PubAck at once. Default 512; more raises throughput on a long line and what a crash leaves in doubt.</summary>
    [Range(1, 65_536)]
    public int MaxInFlight { get; set; } = 512;

    /// <summary>Rows of one UPDATE that marks outcomes. Default 500.</summary>
    [Range(1, 10_000)]
    public int MarkBatch { get; set; } = 500;

    /// <summary>How long a mark waits for others to share its UPDATE. Default 10 ms; it delays the history, never the event.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:00:05")]
    public TimeSpan MarkLinger { get; set; } = TimeSpan.FromMilliseconds(10);

    /// <summary>Between two looks for pending rows that the WAL did not bring to an end. Default 10 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "01:00:00")]
    public TimeSpan ScanInterval { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Without logical decoding: between two polls while rows come. Default 100 ms; it is the latency a row then has.</summary>
    [Range(typeof(TimeSpan), "00:00:00.01", "00:01:00")]
    public TimeSpan PollBusy { get; set; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Without logical decoding: between two polls while none come. Default 1 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.01", "00:01:00")]
    public TimeSpan PollIdle { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>First pause before a row, or a stream, that was unavailable is tried again. Default 100 ms; doubles up to <see cref="RetryMaximum"/>.</summary>
    [Range(typeof(TimeSpan), "00:00:00.01", "00:10:00")]
    public TimeSpan RetryMinimum { get; set; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Longest pause before another try. Default 5 s: the longest a recovered stream waits for its backlog.</summary>
    [Range(typeof(TimeSpan), "00:00:00.01", "01:00:00")]
    public TimeSpan RetryMaximum { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// After this long without a sign of life the server ends the leader's session, and a standby takes over. Default 15 s; a leader
    /// that is killed is replaced at once, this is for one that hangs.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:03", "00:10:00")]
    public TimeSpan Lease { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>Between two attempts of a standby to become the leader. Default 500 ms.</summary>
    [Range(typeof(TimeSpan), "00:00:00.05", "00:01:00")]
    public TimeSpan StandbyPoll { get; set; } = TimeSpan.FromMilliseconds(500);

    /// <summary>How often the slot's place is confirmed to the server. Default 250 ms; rows after it are read again by the next leader.</summary>
    [Range(typeof(TimeSpan), "00:00:00.01", "00:00:10")]
    public TimeSpan ConfirmInterval { get; set; } = TimeSpan.FromMilliseconds(250);

    /// <summary>Between two calls of <c>rule_nats_history_maintain</c> and <c>rule_webhook_purge_expired</c>. Default 1 minute; without them rows end in the default partition, and finished calls and attempts stay for ever. A purge of more than fits in between goes on after the next call.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan MaintainInterval { get; set; } = TimeSpan.FromMinutes(1);
}
