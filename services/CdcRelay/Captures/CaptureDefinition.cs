namespace RuleEngineNats.CdcRelay.Captures;

/// <summary>A row of <c>rule_cdc_captures</c> with its tables.</summary>
/// <param name="Wanted">Whether it is to run: enabled, and with a table or a slot.</param>
/// <param name="Dropped">Whether its slot and its row are to go.</param>
/// <param name="Recover">Whether a slot that has lost its WAL, or is gone, is to be replaced.</param>
/// <param name="HadSlot">Whether its slot was ever read: one that is missing now was lost.</param>
/// <param name="Taken">Whether a relay has the capture's lock, this one or another.</param>
/// <param name="Asked">Whether snapshots wait to begin.</param>
/// <param name="Settings">Everything else; a capture that runs is started anew when it differs.</param>
internal sealed record CaptureDefinition(string Name, bool Wanted, bool Dropped, bool Recover, bool HadSlot, bool Taken, bool Asked, CaptureSettings Settings);

internal sealed record CaptureSettings(
    string Slot,
    string Publication,
    string Config,
    string Stream,
    string SubjectPrefix,
    string Format,
    bool TypedValues,
    bool WithTransaction,
    string EventUnit,
    string Oversized,
    string WalPolicy,
    long? WalLimit,
    int HeartbeatSeconds,
    NameList Excluded,
    NameList Hashed,
    NameList Masked,
    NameList RowFilters);

/// <summary>Columns as <c>"schema"."table"."column"</c>, or filters as <c>"schema"."table"=path</c>; equal when they are the same.</summary>
internal sealed record NameList(string[] Names)
{
    public bool Equals(NameList? other) => other is not null && Names.AsSpan().SequenceEqual(other.Names);

    public override int GetHashCode() => Names.Length;
}
