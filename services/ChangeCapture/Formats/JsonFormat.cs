using RuleEngineNats.ChangeCapture.Events;
using RuleEngineNats.ChangeCapture.Pgoutput;

namespace RuleEngineNats.ChangeCapture.Formats;

/// <summary>
/// One object with one member, whose name is the kind: <c>{"Insert":{"relation_id":16384,"schema":"public","table":"users","new_tuple":{"id":"1"}}}</c>.
/// Byte for byte upstream's form (pgoutput-stream), except that columns keep their order.
/// </summary>
internal sealed class JsonFormat(RowShape shape, bool pretty) : EventFormat
{
    private readonly JsonText _json = new(pretty);

    public override byte[] Format(in ChangeEvent change) => Write(change).ToArray();

    /// <returns>Valid until the next event.</returns>
    public ReadOnlySpan<byte> Write(in ChangeEvent change)
    {
        if (change.Message is WalMessage.Snapshot snapshot)
        {
            return snapshot.Event.ToJson();
        }

        _json.Clear();
        _json.BeginObject();
        switch (change.Message)
        {
            case WalMessage.Begin begin:
                Begin(begin);
                break;
            case WalMessage.Commit commit:
                Commit(commit);
                break;
            case WalMessage.RelationDescription description:
                Describe(description.Relation);
                break;
            case WalMessage.Row row:
                Row(row, change);
                break;
            case WalMessage.Truncate truncate:
                Truncate(truncate, change);
                break;
            case WalMessage.TypeDescription type:
                Type(type);
                break;
            case WalMessage.Origin origin:
                Origin(origin);
                break;
            case WalMessage.Logical message:
                Logical(message, change);
                break;
            case WalMessage.Gap gap:
                Gap(gap);
                break;
            case TransactionPart part:
                Part(part, change.Transaction!);
                break;
            case OversizedEvent oversized:
                Oversized(oversized, change);
                break;
        }

        _json.EndObject();
        _json.EndObject();
        return _json.Written;
    }

    private void Begin(WalMessage.Begin begin)
    {
        Open("Begin"u8);
        Lsn("lsn"u8, begin.CommitLsn);
        Number("timestamp"u8, begin.CommitTime);
        Number("xid"u8, begin.Xid);
    }

    private void Commit(WalMessage.Commit commit)
    {
        Open("Commit"u8);
        Lsn("lsn"u8, commit.CommitLsn);
        Number("timestamp"u8, commit.CommitTime);
    }

    private void Describe(Relation relation)
    {
        Open("Relation"u8);
        Table(relation);
        _json.Name("columns"u8);
        _json.BeginArray();
        foreach (var column in relation.Columns.Where(column => column.Treatment is not ColumnTreatment.Drop))
        {
            _json.Item();
            _json.BeginObject();
            String("name"u8, column.NameUtf8);
            Number("type_id"u8, column.TypeId);
            Number("flags"u8, column.IsKey ? 1 : 0);
            _json.EndObject();
        }

        _json.EndArray();
    }

    private void Row(WalMessage.Row row, in ChangeEvent change)
    {
        Open(row.Operation switch
        {
            RowOperation.Insert => "Insert"u8,
            RowOperation.Update => "Update"u8,
            RowOperation.Read => "Read"u8,
            _ => "Delete"u8,
        });
        Table(row.Relation);
        if (row.Old is { } old)
        {
            _json.Name("old_tuple"u8);
            RowText.Write(_json, row.Relation, old, row.OldIsKey, shape);
        }
        else if (row.Operation is RowOperation.Update)
        {
            _json.Name("old_tuple"u8);
            _json.Null();
        }

        if (row.New is { } now)
        {
            _json.Name("new_tuple"u8);
            RowText.Write(_json, row.Relation, now, keyOnly: false, shape);
            RowText.WriteUnchanged(_json, row.Relation, now);
        }

        Transaction(change);
    }

    private void Truncate(WalMessage.Truncate truncate, in ChangeEvent change)
    {
        Open("Truncate"u8);
        Table(truncate.Relations[0]);
        _json.Name("cascade"u8);
        _json.Boolean(truncate.Cascade);
        _json.Name("restart_identity"u8);
        _json.Boolean(truncate.RestartIdentity);
        Transaction(change);
    }

    private void Type(WalMessage.TypeDescription type)
    {
        Open("Type"u8);
        Number("type_id"u8, type.Id);
        _json.Name("schema"u8);
        _json.String(type.Schema);
        _json.Name("name"u8);
        _json.String(type.Name);
    }

    private void Origin(WalMessage.Origin origin)
    {
        Open("Origin"u8);
        Lsn("lsn"u8, origin.CommitLsn);
        _json.Name("name"u8);
        _json.String(origin.Name);
    }

    // Applications write what they like into a message: a text goes through as text, anything else in base64 under another name.
    private void Logical(WalMessage.Logical message, in ChangeEvent change)
    {
        Open("Message"u8);
        Lsn("lsn"u8, message.Lsn);
        _json.Name("transactional"u8);
        _json.Boolean(message.Transactional);
        _json.Name("prefix"u8);
        _json.String(message.Prefix);
        if (System.Text.Unicode.Utf8.IsValid(message.Content.Span))
        {
            String("content"u8, message.Content.Span);
        }
        else
        {
            _json.Name("content_base64"u8);
            _json.String(Convert.ToBase64String(message.Content.Span));
        }

        Transaction(change);
    }

    private void Gap(WalMessage.Gap gap)
    {
        Open("Gap"u8);
        Lsn("from_lsn"u8, gap.FromLsn);
        Lsn("to_lsn"u8, gap.ToLsn);
        _json.Name("reason"u8);
        _json.String(gap.Reason);
    }

    private void Part(TransactionPart part, TransactionSummary transaction)
    {
        Open("Transaction"u8);
        Number("xid"u8, transaction.Xid);
        Lsn("commit_lsn"u8, transaction.CommitLsn);
        Number("commit_timestamp"u8, transaction.CommitTime);
        Number("part"u8, part.Number);
        _json.Name("last"u8);
        _json.Boolean(part.Last);
        _json.Name("changes"u8);
        _json.BeginArray();
        foreach (var change in part.Changes)
        {
            _json.Item();
            _json.Raw(change);
        }

        _json.EndArray();
    }

    private void Oversized(OversizedEvent oversized, in ChangeEvent change)
    {
        Open("Oversized"u8);
        if (oversized.Relation is { } relation)
        {
            Table(relation);
        }

        _json.Name("operation"u8);
        _json.String(oversized.Operation);
        if (oversized.Relation is not null)
        {
            _json.Name("key"u8);
            RowText.Write(_json, oversized.Relation, oversized.Key, keyOnly: true, shape);
        }
        else
        {
            _json.Name("prefix"u8);
            _json.String(oversized.Prefix!);
        }

        Number("bytes"u8, oversized.Bytes);
        Number("limit"u8, oversized.Limit);
        _json.Name("sha256"u8);
        _json.String(oversized.Sha256);
        Transaction(change);
    }

    private void Transaction(in ChangeEvent change)
    {
        if (!shape.WithTransaction || change.Transaction is not { } transaction)
        {
            return;
        }

        _json.Name("transaction"u8);
        _json.BeginObject();
        Lsn("lsn"u8, change.Lsn);
        Number("xid"u8, transaction.Xid);
        Lsn("commit_lsn"u8, transaction.CommitLsn);
        Number("commit_timestamp"u8, transaction.CommitTime);
        Number("sequence"u8, change.Position.Index);
        _json.EndObject();
    }

    private void Open(ReadOnlySpan<byte> kind)
    {
        _json.Name(kind);
        _json.BeginObject();
    }

    private void Table(Relation relation)
    {
        Number("relation_id"u8, relation.Id);
        String("schema"u8, relation.SchemaUtf8);
        String("table"u8, relation.NameUtf8);
    }

    private void Lsn(ReadOnlySpan<byte> name, ulong lsn)
    {
        _json.Name(name);
        _json.String(EventPosition.Text(lsn));
    }

    private void Number(ReadOnlySpan<byte> name, long value)
    {
        _json.Name(name);
        _json.Number(value);
    }

    private void String(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        _json.Name(name);
        _json.String(value);
    }
}
