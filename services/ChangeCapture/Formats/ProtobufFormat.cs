using System.Globalization;
using System.Text;
using Google.Protobuf;
using RuleEngineNats.ChangeCapture.Events;
using RuleEngineNats.ChangeCapture.Pgoutput;
using RuleEngineNats.Contracts.Changes;
using Wire = RuleEngineNats.Contracts.Changes;

namespace RuleEngineNats.ChangeCapture.Formats;

/// <summary>Protocol Buffers: a CapturedEvent of change_capture.proto.</summary>
internal sealed class ProtobufFormat(RowShape shape) : EventFormat
{
    public override Framing Framing => Framing.Lengths;

    public override string ContentType => "application/protobuf";

    public override byte[] Format(in ChangeEvent change) => change.Message is TransactionPart part ? Part(part, change.Transaction!) : Of(change).ToByteArray();

    private CapturedEvent Of(in ChangeEvent change) => change.Message switch
    {
        WalMessage.Begin begin => new() { Begin = new() { Lsn = begin.CommitLsn, Timestamp = begin.CommitTime, Xid = begin.Xid } },
        WalMessage.Commit commit => new() { Commit = new() { Lsn = commit.CommitLsn, Timestamp = commit.CommitTime } },
        WalMessage.RelationDescription description => new() { Relation = Describe(description.Relation) },
        WalMessage.Row { Operation: RowOperation.Insert } row => new() { Insert = Change(row, change) },
        WalMessage.Row { Operation: RowOperation.Update } row => new() { Update = Change(row, change) },
        WalMessage.Row { Operation: RowOperation.Read } row => new() { Read = Change(row, change) },
        WalMessage.Row row => new() { Delete = Change(row, change) },
        WalMessage.Truncate truncate => new()
        {
            Truncate = new() { Table = Table(truncate.Relations[0]), Cascade = truncate.Cascade, RestartIdentity = truncate.RestartIdentity, Place = Place(change) },
        },
        WalMessage.TypeDescription type => new() { Type = new() { TypeId = type.Id, Schema = type.Schema, Name = type.Name } },
        WalMessage.Origin origin => new() { Origin = new() { Lsn = origin.CommitLsn, Name = origin.Name } },
        WalMessage.Logical message => new()
        {
            Message = new() { Lsn = message.Lsn, Transactional = message.Transactional, Prefix = message.Prefix, Content = ByteString.CopyFrom(message.Content.Span), Place = Place(change) },
        },
        WalMessage.Snapshot { Event: var said } => new()
        {
            Snapshot = new() { Id = said.Id, State = said.State, Initial = said.Initial, Tables = { said.Tables }, Rows = said.Rows, Error = said.Error ?? "" },
        },
        WalMessage.Gap gap => new() { Gap = new() { FromLsn = gap.FromLsn, ToLsn = gap.ToLsn, Reason = gap.Reason } },
        OversizedEvent oversized => new() { Oversized = Oversized(oversized, change) },
        _ => throw new ArgumentOutOfRangeException(nameof(change), change.Message.GetType().Name, "not an event"),
    };

    // The changes are bytes already. A message is its fields one after the other, and a field that repeats is as many fields.
    private static byte[] Part(TransactionPart part, TransactionSummary transaction)
    {
        var head = new Transaction { Xid = transaction.Xid, CommitLsn = transaction.CommitLsn, CommitTimestamp = transaction.CommitTime, Part = part.Number, Last = part.Last };
        var changes = part.Changes.Sum(change => CodedOutputStream.ComputeTagSize(Transaction.ChangesFieldNumber) + CodedOutputStream.ComputeLengthSize(change.Length) + change.Length);
        var size = head.CalculateSize() + changes;
        var written = new MemoryStream(size + 16);
        using (var output = new CodedOutputStream(written, leaveOpen: true))
        {
            output.WriteTag(CapturedEvent.TransactionFieldNumber, WireFormat.WireType.LengthDelimited);
            output.WriteLength(size);
            head.WriteTo(output);
            foreach (var change in part.Changes)
            {
                output.WriteTag(Transaction.ChangesFieldNumber, WireFormat.WireType.LengthDelimited);
                output.WriteBytes(UnsafeByteOperations.UnsafeWrap(change));
            }
        }

        return written.ToArray();
    }

    private static Wire.Table Table(Pgoutput.Relation relation) => new() { RelationId = relation.Id, Schema = relation.Schema, Table_ = relation.Name };

    private static Wire.Relation Describe(Pgoutput.Relation relation) => new()
    {
        Table = Table(relation),
        Columns =
        {
            relation.Columns.Where(column => column.Treatment is not ColumnTreatment.Drop)
                .Select(column => new Wire.Column { Name = column.Name, TypeId = column.TypeId, Key = column.IsKey }),
        },
    };

    private RowChange Change(WalMessage.Row row, in ChangeEvent change)
    {
        var written = new RowChange { Table = Table(row.Relation), Place = Place(change) };
        if (row.Old is { } old)
        {
            written.Old = Row(row.Relation, old, row.OldIsKey);
        }

        if (row.New is { } now)
        {
            written.New = Row(row.Relation, now, keyOnly: false);
            written.UnchangedToast.AddRange(row.Relation.Columns.Where((column, index) => RowText.IsUnchanged(column, now[index])).Select(column => column.Name));
        }

        return written;
    }

    private Oversized Oversized(OversizedEvent oversized, in ChangeEvent change)
    {
        var written = new Oversized
        {
            Operation = oversized.Operation,
            Prefix = oversized.Prefix ?? "",
            Bytes = oversized.Bytes,
            Limit = oversized.Limit,
            Sha256 = oversized.Sha256,
            Place = Place(change),
        };
        if (oversized.Relation is { } relation)
        {
            (written.Table, written.Key) = (Table(relation), Row(relation, oversized.Key, keyOnly: true));
        }

        return written;
    }

    private Row Row(Pgoutput.Relation relation, Pgoutput.Value[] row, bool keyOnly)
    {
        var written = new Row();
        for (var index = 0; index < row.Length; index++)
        {
            if (RowText.IsShown(relation.Columns[index], row[index], keyOnly))
            {
                written.Values.Add(Value(relation.Columns[index], row[index]));
            }
        }

        return written;
    }

    private Wire.Value Value(Pgoutput.Column column, Pgoutput.Value value)
    {
        var written = new Wire.Value { Column = column.Name };
        if (value.Kind is ValueKind.Null)
        {
            written.Null = Google.Protobuf.WellKnownTypes.NullValue.NullValue;
            return written;
        }

        var replacement = RowText.Replacement(column, value, shape.HashSalt);
        var text = replacement ?? value.Text.Span;
        switch (shape.Values is ValueStyle.Typed && replacement is null ? column.TypeId : 0)
        {
            case 16:
                written.Boolean = text is [(byte)'t', ..];
                break;
            case 20 or 21 or 23 or 26:
                written.Integer = long.Parse(text, CultureInfo.InvariantCulture);
                break;
            case 700 or 701:
                written.Number = double.Parse(text, CultureInfo.InvariantCulture);
                break;
            default:
                written.Text = Encoding.UTF8.GetString(text);
                break;
        }

        return written;
    }

    private Place? Place(in ChangeEvent change) => shape.WithTransaction && change.Transaction is { } transaction
        ? new() { Lsn = change.Lsn, Xid = transaction.Xid, CommitLsn = transaction.CommitLsn, CommitTimestamp = transaction.CommitTime, Sequence = change.Position.Index }
        : null;
}
