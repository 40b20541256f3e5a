using System.Text;
using RuleEngineNats.ChangeCapture.Pgoutput;
using RuleEngineNats.ChangeCapture.Snapshots;

namespace RuleEngineNats.ChangeCapture.Tests;

public sealed class TableWindowTests
{
    private const uint Table = 16_384;

    private static readonly Relation Relation = new(Table, "public", "t", 'd', [new("a", 25, -1, true), new("b", 25, -1, true), new("big", 25, -1, false)]);

    private static readonly TableDescription Description = new(
        Table, Relation, IsPartitioned: false, [new("b", 1, null, null), new("a", 2, null, null)], null, TransactionSnapshot.Parse("90:100:95,98"), null);

    [Theory]
    [InlineData("95:100:95,98", 94u, true)]
    [InlineData("95:100:95,98", 95u, false)]
    [InlineData("95:100:95,98", 99u, true)]
    [InlineData("95:100:95,98", 100u, false)]
    [InlineData("100:100:", 99u, true)]
    // Ids go round: 8,589,934,600 is 2^33 + 8.
    [InlineData("8589934590:8589934600:8589934591", 4u, true)]
    [InlineData("8589934590:8589934600:8589934591", 4294967295u, false)]
    [InlineData("8589934590:8589934600:8589934591", 4294967294u, true)]
    [InlineData("8589934590:8589934600:8589934591", 8u, false)]
    public void A_snapshot_sees_what_was_visible_when_it_was_taken(string snapshot, uint xid, bool sees)
        => Assert.Equal(sees, TransactionSnapshot.Parse(snapshot).Sees(xid));

    [Fact]
    public void Rows_that_a_change_out_of_sight_has_touched_are_left_out()
    {
        var window = new TableWindow(Table, Description.Key);
        window.Note(94, Update(null, ["1", "x", "seen"]));
        window.Note(95, Update(["2", "x", null], ["5", "x", "another key"]));
        window.Note(98, Delete("3", "x"));
        window.Note(100, Insert("4", "x"));
        // Not the same key as 6 and 12, though the texts run together alike.
        window.Note(100, Insert("61", "2"));
        Assert.Equal(("1 6 7", 6), Settle(window, "1 x", "2 x", "3 x", "4 x", "6 12", "7 x"));
    }

    [Fact]
    public void What_is_noted_holds_until_a_chunk_sees_it()
    {
        var window = new TableWindow(Table, Description.Key);
        window.Note(98, Delete("1", "x"));
        Assert.Equal(("", 1), Settle(window, "1 x"));
        Assert.Equal(("", 1), Settle(window, "1 x"));
        var later = new TableChunk(new("s", false, false, []), new("public", "t"), Description with { Snapshot = TransactionSnapshot.Parse("101:101:") }, window, Rows("1 x"), false);
        window.Settle(later);
        Assert.Single(later.Kept);
    }

    [Fact]
    public void A_change_without_a_large_value_lets_its_row_be_read_again()
    {
        var window = new TableWindow(Table, Description.Key);
        window.Note(98, Update(null, ["3", "x", "(unchanged)"]));
        Assert.Equal(("1 2", 2), Settle(window, "1 x", "2 x", "3 x", "4 x"));
        // By a later change, with all of it, it is known.
        window.Note(98, Update(null, ["3", "x", "all of it"]));
        Assert.Equal(("1 2 4", 4), Settle(window, "1 x", "2 x", "3 x", "4 x"));
    }

    [Fact]
    public void A_large_key_that_did_not_change_is_taken_from_the_old_row()
    {
        var window = new TableWindow(Table, Description.Key);
        window.Note(98, Update(["2", "x", null], ["(unchanged)", "x", "v"]));
        Assert.Equal(("1", 1), Settle(window, "1 x", "2 x", "3 x"));
    }

    [Fact]
    public void Changes_without_their_keys_or_too_many_of_them_let_the_chunk_be_read_again()
    {
        var unknown = new TableWindow(Table, Description.Key);
        unknown.Note(98, Update(null, ["(unchanged)", "x", "v"]));
        Assert.Equal(("", 0), Settle(unknown, "1 x", "2 x"));

        var many = new TableWindow(Table, Description.Key);
        for (var number = 0; number <= 100_000; number++)
        {
            many.Note(95, Insert($"n{number}", "x"));
        }

        Assert.Equal(("", 0), Settle(many, "1 x", "2 x"));
    }

    private static (string Kept, int Settled) Settle(TableWindow window, params string[] rows)
    {
        var chunk = new TableChunk(new("s", false, false, []), new("public", "t"), Description, window, Rows(rows), IsLast: false);
        window.Expect(chunk);
        window.Settle(chunk);
        return (string.Join(' ', chunk.Kept.Select(kept => kept.Row.Key[1])), chunk.Settled);
    }

    // "a b", whose key is (b, a).
    private static ReadRow[] Rows(params string[] rows) => [.. rows.Select(row => row.Split(' ')).Select(row => new ReadRow([row[1], row[0]], Values([row[0], row[1], ""])))];

    private static WalMessage.Row Insert(string a, string b) => new(RowOperation.Insert, Relation, null, false, Values([a, b, ""]));

    private static WalMessage.Row Delete(string a, string b) => new(RowOperation.Delete, Relation, Values([a, b, null]), true, null);

    private static WalMessage.Row Update(string?[]? old, string?[] now) => new(RowOperation.Update, Relation, old is null ? null : Values(old), true, Values(now));

    private static Value[] Values(string?[] texts) => [.. texts.Select(text => text switch
    {
        null => default,
        "(unchanged)" => new Value(ValueKind.UnchangedToast, default),
        _ => new Value(ValueKind.Text, Encoding.UTF8.GetBytes(text)),
    })];
}
