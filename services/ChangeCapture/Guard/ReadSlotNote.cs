using System.Globalization;
using NpgsqlTypes;
using RuleEngineNats.ChangeCapture.Events;
using RuleEngineNats.ChangeCapture.Pgoutput;
using RuleEngineNats.ChangeCapture.Replication;

namespace RuleEngineNats.ChangeCapture.Guard;

/// <summary>What a note means where it is met: a heartbeat is measured, a gap becomes an event. One for each session.</summary>
internal sealed class ReadSlotNote(string slot, EventPipeline pipeline, CaptureStatus status, TimeProvider time)
{
    // What the outputs had when the session began. A slot that is new to them leaves no gap.
    private readonly ulong? _resumed = pipeline.LastPosition?.CommitLsn;

    public async ValueTask HandleAsync(WalMessage.Logical note, EventPosition position, ulong lsn, CancellationToken cancellationToken)
    {
        switch (note.Prefix)
        {
            case SlotNotes.Heartbeat:
                if (DateTimeOffset.TryParse(SlotNotes.Read(note, slot, "at"), CultureInfo.InvariantCulture, out var sent))
                {
                    status.Heartbeat(time.GetUtcNow() - sent);
                }

                break;
            case SlotNotes.Gap:
                if (Lsn(note, "to") is { } to && From(note, to) is { } from && !pipeline.IsWritten(position))
                {
                    var gap = new WalMessage.Gap(from, to, SlotNotes.Read(note, slot, "reason") ?? "");
                    await pipeline.WriteAsync(new(gap, position, lsn, null), cancellationToken);
                }

                break;
        }
    }

    // The note says how far the slot was confirmed at least; the outputs know better, unless they have had something from behind the gap already.
    private ulong? From(WalMessage.Logical note, ulong to) => _resumed < to ? _resumed : Lsn(note, "from");

    private ulong? Lsn(WalMessage.Logical note, string property)
        => SlotNotes.Read(note, slot, property) is { } text && NpgsqlLogSequenceNumber.TryParse(text, out var lsn) ? (ulong)lsn : null;
}
