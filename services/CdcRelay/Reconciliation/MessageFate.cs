namespace RuleEngineNats.CdcRelay.Reconciliation;

/// <summary>A stored row whose message is not where the history says.</summary>
/// <param name="ReusedByAnother">Another message has its sequence now.</param>
internal readonly record struct MissingRow(long PublishId, string Id, ulong Sequence, DateTimeOffset StoredAt, bool ReusedByAnother);

/// <summary>What a stream looked like after the missing rows had been acknowledged.</summary>
/// <param name="HolesAreNormal">Messages leave it in any order: not limits retention, or a limit per subject.</param>
/// <param name="MaxAge">Zero: for ever.</param>
/// <param name="Floor">What was stored below this sequence by <paramref name="FloorAt"/> had been removed by then, while nothing else had happened.</param>
internal sealed record StreamFacts(
    ulong FirstSequence, ulong LastSequence, DateTimeOffset Created, bool HolesAreNormal, TimeSpan MaxAge, ulong Floor, DateTimeOffset FloorAt);

/// <summary>Why a message is not where the history says.</summary>
internal enum MessageFate
{
    /// <summary>It is in the stream at another place: an earlier run published it again and did not get to record it.</summary>
    Moved,

    /// <summary>It was removed on purpose: it must not come back.</summary>
    Removed,

    /// <summary>The stream's tail is gone, so new messages take its sequences.</summary>
    LostWithTail,

    /// <summary>The stream is gone and was made anew.</summary>
    LostWithStream,

    /// <summary>It alone is gone: deleted, or its block is damaged.</summary>
    LostAlone,
}

/// <summary>
/// Tells lost messages from removed ones. The first line that fits decides; <c>s</c> is the sequence in the history.
/// <code>
/// its id is in the stream, elsewhere                      Moved           (recorded there)
/// older than max_age                                      Removed         retention
/// s below the floor, stored before the floor was seen     Removed         retention or a purge, seen before the loss
/// the stream was made after it was stored                 LostWithStream
/// s > last_seq                                            LostWithTail    last_seq never goes back on purpose, not by a purge either
/// another id has s                                        LostWithTail    last_seq went back, and publishers were faster than this run
/// s &lt; first_seq                                           Removed         retention takes from the front; so does a purge up to an ack floor
/// nothing has s, and holes are normal                     Removed         consumed (workqueue, interest), or replaced (per-subject limit)
/// nothing has s                                           LostAlone       deleting one message is denied, so nobody meant it
/// </code>
/// What is published again although it had been consumed is not delivered again: the worker asks for recorded outcomes. So where it is not known
/// whether a message was removed before a loss, it is lost.
/// </summary>
internal static class MessageFates
{
    public static MessageFate Of(in MissingRow row, ulong? foundAt, StreamFacts stream, DateTimeOffset now) => row switch
    {
        _ when foundAt is not null => MessageFate.Moved,
        _ when stream.MaxAge > TimeSpan.Zero && row.StoredAt + stream.MaxAge < now => MessageFate.Removed,
        _ when row.Sequence < stream.Floor && row.StoredAt <= stream.FloorAt => MessageFate.Removed,
        _ when row.StoredAt < stream.Created => MessageFate.LostWithStream,
        _ when row.Sequence > stream.LastSequence || row.ReusedByAnother => MessageFate.LostWithTail,
        _ when row.Sequence < stream.FirstSequence || stream.HolesAreNormal => MessageFate.Removed,
        _ => MessageFate.LostAlone,
    };

    /// <summary>
    /// From which sequence on the stream's sequences are used a second time; null when none are. A consumer that had come further than this
    /// skips what is stored there now.
    /// </summary>
    /// <param name="before"><c>last_seq</c> when the stream was last verified; null when it was not, or was another stream.</param>
    public static ulong? ReusedFrom(IEnumerable<(MissingRow Row, MessageFate Fate)> missing, ulong lastSequence, ulong? before)
    {
        ulong? from = before > lastSequence ? lastSequence + 1 : null;
        foreach (var (row, fate) in missing)
        {
            if (fate is MessageFate.LostWithTail)
            {
                from = Math.Min(from ?? ulong.MaxValue, Math.Min(row.Sequence, lastSequence + 1));
            }
        }

        return from;
    }
}
