using System.CommandLine;
using RuleEngineNats.ChangeCapture;

namespace RuleEngineNats.PgoutputStream;

/// <summary>The options of the command line for the WAL that the slot holds.</summary>
internal sealed class GuardFlags
{
    private readonly Option<bool> _recoverSlot = new("--recover-slot") { Description = "Replace a slot that has lost its WAL; a Gap event says what is missing." };
    private readonly Option<string> _policy = new("--wal-policy") { Description = "When the slot is more than --wal-limit behind: alert (say it), pause (end with exit code 1; the slot stays), drop (leave the backlog out; a Gap event says so) or spill (keep it in --spill-directory until it is stored).", DefaultValueFactory = _ => "alert" };
    private readonly Option<long?> _limit = new("--wal-limit") { Description = "Bytes of WAL, 1,048,576 or more. Default: half of max_slot_wal_keep_size, or 5 GiB where that is unlimited." };
    private readonly Option<string?> _spillDirectory = new("--spill-directory") { Description = "Where --wal-policy spill keeps the backlog: durable storage, the same at each start." };
    private readonly Option<long> _spillLimit = new("--wal-spill-limit") { Description = "Most bytes there, 1,048,576 or more; beyond them PostgreSQL keeps the WAL again.", DefaultValueFactory = _ => 10_737_418_240 };
    private readonly Option<int> _grace = new("--wal-grace") { Description = "Seconds in which the backlog must not have become smaller before the policy is carried out.", DefaultValueFactory = _ => 10 };
    private readonly Option<int> _heartbeat = new("--heartbeat-interval") { Description = "Seconds between two heartbeats, 0 for none.", DefaultValueFactory = _ => 10 };

    public IReadOnlyList<Option> All => [_recoverSlot, _policy, _limit, _spillDirectory, _spillLimit, _grace, _heartbeat];

    public void Read(ParseResult result, CaptureOptions options, List<string> problems)
    {
        options.RecoverSlot = result.GetValue(_recoverSlot);
        options.WalPolicy = CaptureFlags.Choice(result.GetValue(_policy)!, "--wal-policy: '{0}' is none of {1}", problems, ("alert", WalPolicy.Alert), ("pause", WalPolicy.Pause), ("drop", WalPolicy.Drop), ("spill", WalPolicy.Spill));
        options.WalLimit = result.GetValue(_limit);
        options.SpillDirectory = result.GetValue(_spillDirectory);
        options.WalSpillLimit = result.GetValue(_spillLimit);
        options.WalGrace = TimeSpan.FromSeconds(result.GetValue(_grace));
        options.HeartbeatInterval = TimeSpan.FromSeconds(result.GetValue(_heartbeat));
    }
}
