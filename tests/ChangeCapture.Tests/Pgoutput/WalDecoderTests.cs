using System.Text;
using RuleEngineNats.ChangeCapture.Pgoutput;

namespace RuleEngineNats.ChangeCapture.Tests.Pgoutput;

public sealed class WalDecoderTests
{
    private readonly WalDecoder _decoder = new(_ => { });

    [Fact]
    public void Transaction_bounds_are_read()
    {
        Assert.Equal(new WalMessage.Begin(0x16B2D50, 5, 1000), Decode(WalBytes.Of('B').Int64(0x16B2D50).Int64(5).Int32(1000)));
        Assert.Equal(new WalMessage.Commit(1, 2, 3), Decode(WalBytes.Of('C').Byte(0).Int64(1).Int64(2).Int64(3)));
        Assert.Equal(new WalMessage.StreamStart(7), Decode(WalBytes.Of('S').Int32(7).Byte(1)));
        Assert.Equal(new WalMessage.StreamCommit(7, 1, 2, 3), Decode(WalBytes.Of('c').Int32(7).Byte(0).Int64(1).Int64(2).Int64(3)));
        Assert.Equal(new WalMessage.StreamAbort(7, 9), Decode(WalBytes.Of('A').Int32(7).Int32(9)));
        Assert.Equal(new WalMessage.Begin(ulong.MaxValue, -1, uint.MaxValue), Decode(WalBytes.Of('B').Int64(ulong.MaxValue).Int64(ulong.MaxValue).Int32(uint.MaxValue)));
    }

    [Fact]
    public void A_table_without_a_schema_name_is_one_of_pg_catalog()
    {
        var described = Assert.IsType<WalMessage.RelationDescription>(Decode(WalBytes.Of('R').Int32(1).Text("").Text("pg_class").Byte('n').Int16(0)));
        Assert.Equal(("pg_catalog", "pg_class", 'n'), (described.Relation.Schema, described.Relation.Name, described.Relation.ReplicaIdentity));
    }

    [Fact]
    public void Rows_keep_null_unchanged_and_empty_apart()
    {
        Decode(WalBytes.Users());
        var row = Assert.IsType<WalMessage.Row>(Decode(WalBytes.Of('U').Int32(16384).Row('K', "1", null).Row('N', "", "\0")));
        Assert.True(row.OldIsKey);
        Assert.Equal([ValueKind.Text, ValueKind.Null], row.Old!.Select(value => value.Kind));
        Assert.Equal([ValueKind.Text, ValueKind.UnchangedToast], row.New!.Select(value => value.Kind));
        Assert.Equal(0, row.New![0].Text.Length);
    }

    [Fact]
    public void In_a_streamed_block_changes_name_their_transaction_first()
    {
        _decoder.Decode(WalBytes.Users(xid: 12).ToArray(), streamed: true);
        var bytes = WalBytes.Of('I').Int32(12).Int32(16384).Row('N', "1", "a").ToArray();
        Assert.Equal(12u, WalDecoder.StreamedXid(bytes));
        var row = Assert.IsType<WalMessage.Row>(_decoder.Decode(bytes, streamed: true));
        Assert.Equal("a", Encoding.UTF8.GetString(row.New![1].Text.Span));
        Assert.Equal(new WalMessage.Origin(5, "node"), _decoder.Decode(WalBytes.Of('O').Int64(5).Text("node").ToArray(), streamed: true));
    }

    [Fact]
    public void What_is_not_as_the_protocol_says_is_refused_with_the_reason()
    {
        Refused("message type 63", WalBytes.Of('?'));
        Refused("rows of table 5 without its description", WalBytes.Of('I').Int32(5).Row('N', "1"));
        Decode(WalBytes.Users());
        Refused("a row of 1 columns for public.users, which has 2", WalBytes.Of('I').Int32(16384).Row('N', "1"));
        Refused("a row of kind 79 where N belongs", WalBytes.Of('I').Int32(16384).Row('O', "1", "2"));
        Refused("a field of 8 bytes where 3 are left", WalBytes.Of('B').Byte(1).Byte(2).Byte(3));
        Refused("a text has no end", WalBytes.Of('Y').Int32(1).Byte('x'));
        Refused("TRUNCATE of 4000000000 tables", WalBytes.Of('T').Int32(4000000000).Byte(0));
        Refused("a field of -1 bytes", WalBytes.Of('I').Int32(16384).Byte('N').Int16(2).Byte('t').Int32(uint.MaxValue));

        void Refused(string reason, WalBytes bytes) => Assert.Contains(reason, Assert.Throws<PgoutputException>(() => Decode(bytes)).Message, StringComparison.Ordinal);
    }

    private WalMessage Decode(WalBytes bytes) => _decoder.Decode(bytes.ToArray(), streamed: false);
}
