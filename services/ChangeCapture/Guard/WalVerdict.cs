namespace RuleEngineNats.ChangeCapture.Guard;

/// <summary>What the guard makes of the slot. Decided from numbers alone.</summary>
/// <param name="Warning">What to say loudly; null while all is well.</param>
/// <param name="Act">Whether the policy is to be carried out.</param>
internal sealed record WalVerdict(string? Warning, bool Act)
{
    // Where neither the server nor the options set a limit.
    private const long DefaultLimit = 5L * 1024 * 1024 * 1024;

    /// <summary>From how many bytes on the guard speaks: what the options say, else half of what the server keeps, else 5 GiB.</summary>
    public static long Limit(SlotHealth slot, long? asked) => asked ?? (slot.KeepBytes is { } keep ? Math.Max(keep / 2, 1) : DefaultLimit);

    public static WalVerdict Of(SlotHealth slot, long? asked)
    {
        var limit = Limit(slot, asked);

        // What is held beyond what is behind belongs to a transaction that is still open: nothing that is done here would free it.
        var act = slot.BehindBytes > limit;
        var warning = slot switch
        {
            { IsLost: true } => "it has lost its WAL: changes are missing",
            { WalStatus: "unreserved" } => "it loses its WAL at the next checkpoint: max_slot_wal_keep_size is exceeded",
            _ when act => "its outputs are behind",
            _ when slot.HeldBytes > limit => "a transaction that began long ago holds it: see pg_stat_activity, xact_start",
            _ => null,
        };
        return new(warning, act && !slot.IsLost);
    }
}
