using RuleEngineNats.CdcRelay.Reconciliation;

namespace RuleEngineNats.CdcRelay.Tests.Reconciliation;

public sealed class MessageFateTests
{
    private static readonly DateTimeOffset Now = new(2026, 11, 20, 12, 0, 0, TimeSpan.Zero);
    private static readonly StreamFacts Stream = new(
        FirstSequence: 10, LastSequence: 100, Created: Now.AddDays(-1), HolesAreNormal: false, MaxAge: TimeSpan.Zero, Floor: 10, FloorAt: Now.AddMinutes(-1));

    [Fact]
    public void A_message_at_another_place_has_moved() => Assert.Equal(MessageFate.Moved, MessageFates.Of(Row(50), 120, Stream, Now));

    [Fact]
    public void A_message_past_last_seq_is_lost_with_the_tail() => Assert.Equal(MessageFate.LostWithTail, MessageFates.Of(Row(101), null, Stream, Now));

    [Fact]
    public void A_message_whose_sequence_another_has_is_lost_with_the_tail()
        => Assert.Equal(MessageFate.LostWithTail, MessageFates.Of(Row(50) with { ReusedByAnother = true }, null, Stream, Now));

    [Fact]
    public void An_emptied_stream_whose_last_seq_went_back_has_lost_all()
        => Assert.Equal(MessageFate.LostWithTail, MessageFates.Of(Row(50), null, Stream with { FirstSequence = 1, LastSequence = 0 }, Now));

    [Fact]
    public void A_message_below_first_seq_was_removed() => Assert.Equal(MessageFate.Removed, MessageFates.Of(Row(9), null, Stream with { Floor = 1 }, Now));

    [Fact]
    public void All_messages_of_a_purged_stream_were_removed()
        => Assert.Equal(MessageFate.Removed, MessageFates.Of(Row(100), null, Stream with { FirstSequence = 101 }, Now));

    [Fact]
    public void A_message_that_was_removed_before_the_stream_lost_its_tail_was_removed()
        => Assert.Equal(MessageFate.Removed, MessageFates.Of(Row(9), null, Stream with { FirstSequence = 1, LastSequence = 0 }, Now));

    [Fact]
    public void A_sequence_below_the_floor_that_was_used_after_the_loss_counts()
        => Assert.Equal(MessageFate.LostWithTail, MessageFates.Of(Row(9) with { StoredAt = Now }, null, Stream with { FirstSequence = 1, LastSequence = 0 }, Now));

    [Fact]
    public void A_message_older_than_max_age_was_removed_whatever_happened()
        => Assert.Equal(MessageFate.Removed, MessageFates.Of(Row(50), null, Stream with { MaxAge = TimeSpan.FromMinutes(1), Created = Now }, Now));

    [Fact]
    public void A_hole_is_a_loss() => Assert.Equal(MessageFate.LostAlone, MessageFates.Of(Row(50), null, Stream, Now));

    [Fact]
    public void A_hole_in_a_work_queue_was_consumed() => Assert.Equal(MessageFate.Removed, MessageFates.Of(Row(50), null, Stream with { HolesAreNormal = true }, Now));

    [Fact]
    public void A_work_queue_that_lost_its_tail_lost_messages() => Assert.Equal(MessageFate.LostWithTail, MessageFates.Of(Row(101), null, Stream with { HolesAreNormal = true }, Now));

    [Fact]
    public void A_stream_made_anew_has_lost_what_the_old_one_had()
        => Assert.Equal(MessageFate.LostWithStream, MessageFates.Of(Row(50), null, Stream with { Created = Now }, Now));

    [Fact]
    public void Sequences_are_used_again_from_the_first_that_was_lost_with_the_tail()
    {
        Assert.Equal(51UL, MessageFates.ReusedFrom([(Row(60), MessageFate.LostWithTail)], lastSequence: 50, before: 100));
        Assert.Equal(51UL, MessageFates.ReusedFrom([], lastSequence: 50, before: 100));
        Assert.Equal(51UL, MessageFates.ReusedFrom([(Row(60), MessageFate.LostWithTail)], lastSequence: 50, before: null));
        // Publishers were faster: 51 to 120 are there again.
        Assert.Equal(55UL, MessageFates.ReusedFrom([(Row(60), MessageFate.LostWithTail), (Row(55), MessageFate.LostWithTail)], lastSequence: 120, before: 100));
    }

    [Fact]
    public void No_sequence_is_used_again_where_one_message_or_the_whole_stream_is_gone()
        => Assert.Null(MessageFates.ReusedFrom([(Row(5), MessageFate.LostAlone), (Row(6), MessageFate.LostWithStream), (Row(7), MessageFate.Removed)], lastSequence: 100, before: 100));

    private static MissingRow Row(ulong sequence) => new(1, "1_a", sequence, Now.AddMinutes(-2), ReusedByAnother: false);
}
