using System.Buffers;
using Google.Protobuf;
using RuleEngineNats.ChangeCapture.Events;
using RuleEngineNats.ChangeCapture.Formats;
using RuleEngineNats.ChangeCapture.Pgoutput;
using RuleEngineNats.ChangeCapture.Tests.Pgoutput;
using RuleEngineNats.Contracts.Changes;
using Wal = RuleEngineNats.ChangeCapture.Pgoutput;

namespace RuleEngineNats.ChangeCapture.Tests.Formats;

public sealed class ProtobufFormatTests : IDisposable
{
    private static readonly TransactionSummary Committed = new(1000, 512, 42);

    private readonly string _file = Path.GetTempFileName();

    public void Dispose() => File.Delete(_file);

    [Fact]
    public void Each_kind_of_event_is_read_back()
    {
        var decoder = new WalDecoder(_ => { });
        Assert.Equal(new Contracts.Changes.Begin { Lsn = 0x16B2D50, Timestamp = 812345678901234, Xid = 1000 }, Read(WalBytes.Of('B').Int64(0x16B2D50).Int64(812345678901234).Int32(1000)).Begin);
        Assert.Equal(new Contracts.Changes.Commit { Lsn = 0x10000000A, Timestamp = -1 }, Read(WalBytes.Of('C').Byte(0).Int64(0x10000000A).Int64(0x10000000B).Int64(ulong.MaxValue)).Commit);
        Assert.Equal("""{ "table": { "relationId": 16384, "schema": "public", "table": "users" }, "columns": [ { "name": "id", "typeId": 23, "key": true }, { "name": "name", "typeId": 25 } ] }""", Read(WalBytes.Users()).Relation.ToString());
        Assert.Equal("""{ "table": { "relationId": 16384, "schema": "public", "table": "users" }, "new": { "values": [ { "column": "id", "text": "1" }, { "column": "name", "null": null } ] } }""", Read(WalBytes.Of('I').Int32(16384).Row('N', "1", null)).Insert.ToString());
        Assert.Equal("""{ "table": { "relationId": 16384, "schema": "public", "table": "users" }, "old": { "values": [ { "column": "id", "text": "1" } ] }, "new": { "values": [ { "column": "id", "text": "2" } ] }, "unchangedToast": [ "name" ] }""", Read(WalBytes.Of('U').Int32(16384).Row('K', "1", null).Row('N', "2", "\0")).Update.ToString());
        Assert.Equal(["1", "é😀"], Read(WalBytes.Of('D').Int32(16384).Row('O', "1", "é😀")).Delete.Old.Values.Select(value => value.Text));
        Assert.Equal(ByteString.CopyFrom(0xFF, 0), Read(new WalMessage.Logical(true, 7, "p", new byte[] { 0xFF, 0 })).Message.Content);

        CapturedEvent Read(object message) => CapturedEvent.Parser.ParseFrom(Format(message as WalMessage ?? decoder.Decode(((WalBytes)message).ToArray(), streamed: false)));
    }

    [Fact]
    public void Typed_values_have_the_type_that_holds_them_and_hashed_ones_are_text()
    {
        (uint Type, string Text)[] values = [(16, "t"), (20, "-9223372036854775808"), (701, "NaN"), (700, "1e-05"), (1700, "1.10"), (1007, "{1}"), (25, "x"), (23, "5")];
        var relation = new Wal.Relation(1, "s", "t", 'd', [.. values.Select((value, index) => new Wal.Column($"c{index}", value.Type, -1, index == 0))]);
        relation.Columns[7].Treatment = ColumnTreatment.Mask;
        var row = new WalMessage.Row(RowOperation.Insert, relation, null, false, [.. values.Select(value => new Wal.Value(ValueKind.Text, System.Text.Encoding.UTF8.GetBytes(value.Text)))]);
        var insert = CapturedEvent.Parser.ParseFrom(Format(row, new(WithTransaction: true, ValueStyle.Typed, []))).Insert;
        Assert.Equal([true, long.MinValue, double.NaN, 1e-05, "1.10", "{1}", "x", "***"], insert.New.Values.Select(value => value.ValueCase switch
        {
            Contracts.Changes.Value.ValueOneofCase.Boolean => value.Boolean,
            Contracts.Changes.Value.ValueOneofCase.Integer => value.Integer,
            Contracts.Changes.Value.ValueOneofCase.Number => value.Number,
            _ => (object)value.Text,
        }));
        Assert.Equal(new Place { Lsn = 256, Xid = 1000, CommitLsn = 512, CommitTimestamp = 42, Sequence = 1 }, insert.Place);
    }

    [Fact]
    public void What_goes_in_the_place_of_a_large_change_names_it()
    {
        var relation = new Wal.Relation(1, "s", "t", 'd', [new("id", 23, -1, true), new("big", 25, -1, false)]);
        Wal.Value[] row = [new(ValueKind.Text, "5"u8.ToArray()), new(ValueKind.Text, new byte[5000])];
        var change = OversizedEvent.Of(new(new WalMessage.Row(RowOperation.Insert, relation, null, false, row), new(512, 1), 256, Committed))! with { Bytes = 5100, Limit = 4000, Sha256 = "ab" };
        Assert.Equal(
            """{ "table": { "relationId": 1, "schema": "s", "table": "t" }, "operation": "insert", "key": { "values": [ { "column": "id", "text": "5" } ] }, "bytes": "5100", "limit": "4000", "sha256": "ab" }""",
            CapturedEvent.Parser.ParseFrom(Format(change)).Oversized.ToString());
    }

    [Fact]
    public void A_part_of_a_transaction_holds_its_changes()
    {
        var changes = new[] { Format(new WalMessage.TypeDescription(7, "s", "mood")), Format(new WalMessage.Commit(1, 2, 3)) };
        var part = CapturedEvent.Parser.ParseFrom(Format(new TransactionPart(300, Last: true, changes))).Transaction;
        Assert.Equal((1000u, 512ul, 42L, 300, true), (part.Xid, part.CommitLsn, part.CommitTimestamp, part.Part, part.Last));
        Assert.Equal(["mood"], part.Changes.SkipLast(1).Select(change => change.Type.Name));
        Assert.Equal(1ul, part.Changes[1].Commit.Lsn);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(127)]
    [InlineData(128)]
    [InlineData(300)]
    public void A_part_of_an_event_at_the_end_of_a_file_is_cut_off_and_nothing_else(int cut)
    {
        var buffer = new ArrayBufferWriter<byte>();
        foreach (var size in (int[])[1, 120, 200, 70_000, 150_000])
        {
            Framing.Lengths.Write(buffer, Format(new WalMessage.Logical(true, 7, new string('p', size), default)));
        }

        var whole = buffer.WrittenCount;
        Framing.Lengths.Write(buffer, Format(new WalMessage.Logical(true, 7, new string('q', 400), default)));
        File.WriteAllBytes(_file, buffer.WrittenSpan[..(whole + cut)].ToArray());
        using var file = File.OpenRead(_file);
        Assert.Equal(whole, Framing.Lengths.WholeBytes(file));
        file.Position = 0;
        Assert.Equal([1, 120, 200, 70_000, 150_000], Enumerable.Range(0, 5).Select(_ => CapturedEvent.Parser.ParseDelimitedFrom(file).Message.Prefix.Length));
    }

    [Theory]
    [InlineData("{\"Begin\":{}}\n")]
    [InlineData("BEGIN [LSN: 0/1927E60, XID: 731, Time: 849278258611690]\nCOMMIT [LSN: 0/1927E60]\n")]
    public void A_file_of_another_format_is_refused_rather_than_cut(string text)
    {
        File.WriteAllText(_file, text);
        var refused = Assert.Throws<CaptureException>(() => Outputs.LineOutput.ToFile("File", _file, new ProtobufFormat(new(WithTransaction: false, ValueStyle.Text, []))));
        Assert.Contains($"File: {_file} cannot be written: it holds something else than protobuf events: name another file", refused.Message, StringComparison.Ordinal);
        Assert.Equal(text, File.ReadAllText(_file));
    }

    private static byte[] Format(WalMessage message, RowShape? shape = null)
        => new ProtobufFormat(shape ?? new(WithTransaction: false, ValueStyle.Text, [])).Format(new(message, new(512, 1), 256, Committed));
}
