using RuleEngineNats.ChangeCapture.Events;
using RuleEngineNats.ChangeCapture.Pgoutput;

namespace RuleEngineNats.ChangeCapture.Tests;

public sealed class SubjectAndPositionTests
{
    [Theory]
    [InlineData("public", "users", "postgres.public.users.insert")]
    [InlineData("Sales", "order_items-2", "postgres.Sales.order_items-2.insert")]
    [InlineData("a.b c*>", "%", "postgres.a%2Eb%20c%2A%3E.%25.insert")]
    [InlineData("é", "日\n", "postgres.%C3%A9.%E6%97%A5%0A.insert")]
    [InlineData("transactions", "begin", "postgres.%74ransactions.begin.insert")]
    [InlineData("transactions2", "$x", "postgres.transactions2.%24x.insert")]
    public void Names_are_tokens_that_turn_back_into_names(string schema, string table, string subject)
    {
        var row = new WalMessage.Row(RowOperation.Insert, new Relation(1, schema, table, 'd', []), null, false, []);
        Assert.Equal(subject, new ChangeSubjects("postgres").Of(row));
        var tokens = subject.Split('.');
        Assert.Equal(4, tokens.Length);
        Assert.Equal((schema, table), (Uri.UnescapeDataString(tokens[1]), Uri.UnescapeDataString(tokens[2])));
    }

    [Fact]
    public void Transactions_have_subjects_of_their_own()
    {
        var subjects = new ChangeSubjects("shop.cdc");
        Assert.Equal("shop.cdc.transactions.begin.event", subjects.Begin);
        Assert.Equal("shop.cdc.transactions.commit.event", subjects.Commit);
    }

    [Fact]
    public void Message_ids_give_their_position_back_to_their_slot_alone()
    {
        var position = new EventPosition(0x10000000A, 7);
        Assert.Equal("slot:1/A:7", position.MessageId("slot", null));
        Assert.Equal(position, EventPosition.Parse("slot:1/A:7", "slot"));
        Assert.Null(EventPosition.Parse("slot:1/A:7", "slot2"));
        Assert.Null(EventPosition.Parse("slot:x:7", "slot"));
        Assert.Null(EventPosition.Parse("", "slot"));
        Assert.Equal(new EventPosition(0x10000000A, 6), EventPosition.Parse(position.MessageId("slot", "relation:5"), "slot"));
        var message = new EventPosition(10, EventPosition.BeforeTransaction);
        Assert.Equal(message, EventPosition.Parse(message.MessageId("slot", null), "slot"));
        Assert.True(message < new EventPosition(10, 0) && new EventPosition(10, 99) < new EventPosition(11, 0));
    }
}
