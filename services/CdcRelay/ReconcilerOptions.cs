using System.ComponentModel.DataAnnotations;

namespace RuleEngineNats.CdcRelay;

/// <summary>Section <c>Reconciler</c>: how what a nats-server lost after it had acknowledged it is found.</summary>
internal sealed class ReconcilerOptions
{
    public const string Section = "Reconciler";

    /// <summary>
    /// How far before the last verified moment rows are compared. Default 5 minutes: twice nats-server's default sync_interval of 2 minutes, and one
    /// more. A server with a longer interval needs a longer horizon, or what it loses first is never missed.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:10", "1.00:00:00")]
    public TimeSpan Horizon { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>Between two looks at each stream. Default 30 s; a look is one request to the server unless something has changed.</summary>
    [Range(typeof(TimeSpan), "00:00:00.2", "01:00:00")]
    public TimeSpan Interval { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// How long after a change the regular check compares ids again, for rows of publishes from before the change that reach the history late. Default
    /// 1 minute.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", "01:00:00")]
    public TimeSpan Settle { get; set; } = TimeSpan.FromMinutes(1);
}
