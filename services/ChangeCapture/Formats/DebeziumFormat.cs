using RuleEngineNats.ChangeCapture.Events;
using RuleEngineNats.ChangeCapture.Pgoutput;

namespace RuleEngineNats.ChangeCapture.Formats;

/// <summary>
/// Debezium's envelope: before, after, source, op and ts_ms. It knows rows, TRUNCATE (op <c>t</c>) and logical messages (op <c>m</c>); transaction
/// bounds and descriptions are left out. Where Debezium puts a placeholder for an unchanged TOAST value, the column is left out and listed.
/// </summary>
/// <param name="database">Name of the database.</param>
/// <param name="server">Logical name of the source: the subject prefix.</param>
internal sealed class DebeziumFormat(RowShape shape, string database, string server, TimeProvider time) : EventFormat
{
    private static readonly string Version = typeof(DebeziumFormat).Assembly.GetName().Version!.ToString(3);

    private readonly JsonText _json = new(pretty: false);

    public override byte[]? Format(in ChangeEvent change)
    {
        if (change.Message is WalMessage.Snapshot snapshot)
        {
            return snapshot.Event.ToJson();
        }

        if (change.Message is not (WalMessage.Row or WalMessage.Truncate or WalMessage.Logical))
        {
            return null;
        }

        _json.Clear();
        _json.BeginObject();
        switch (change.Message)
        {
            case WalMessage.Row row:
                Image("before"u8, row.Relation, row.Old, row.OldIsKey);
                Image("after"u8, row.Relation, row.New, keyOnly: false);
                if (row.New is { } now)
                {
                    RowText.WriteUnchanged(_json, row.Relation, now);
                }

                Source(row.Relation, change);
                Text("op"u8, row.Operation switch { RowOperation.Insert => "c", RowOperation.Update => "u", RowOperation.Read => "r", _ => "d" });
                break;
            case WalMessage.Truncate truncate:
                Source(truncate.Relations[0], change);
                Text("op"u8, "t");
                break;
            case WalMessage.Logical message:
                Source(null, change);
                Text("op"u8, "m");
                _json.Name("message"u8);
                _json.BeginObject();
                Text("prefix"u8, message.Prefix);
                Text("content"u8, Convert.ToBase64String(message.Content.Span));
                _json.EndObject();
                break;
        }

        Number("ts_ms"u8, time.GetUtcNow().ToUnixTimeMilliseconds());
        _json.Name("transaction"u8);
        _json.Null();
        _json.EndObject();
        return _json.Written.ToArray();
    }

    private void Image(ReadOnlySpan<byte> name, Relation relation, Value[]? row, bool keyOnly)
    {
        _json.Name(name);
        if (row is null)
        {
            _json.Null();
        }
        else
        {
            RowText.Write(_json, relation, row, keyOnly, shape);
        }
    }

    private void Source(Relation? relation, in ChangeEvent change)
    {
        _json.Name("source"u8);
        _json.BeginObject();
        Text("version"u8, Version);
        Text("connector"u8, "postgresql");
        Text("name"u8, server);
        Number("ts_ms"u8, change.Transaction is { } committed ? UnixMilliseconds(committed.CommitTime) : time.GetUtcNow().ToUnixTimeMilliseconds());
        Text("snapshot"u8, change.Message is WalMessage.Row { Operation: RowOperation.Read } ? "incremental" : "false");
        Text("db"u8, database);
        Text("schema"u8, relation?.Schema ?? "");
        Text("table"u8, relation?.Name ?? "");
        if (change.Transaction is { } transaction)
        {
            Number("txId"u8, transaction.Xid);
        }

        Number("lsn"u8, (long)change.Lsn);
        _json.EndObject();
    }

    // From microseconds since 2000-01-01.
    private static long UnixMilliseconds(long commitTime) => (commitTime / 1000) + 946_684_800_000;

    private void Text(ReadOnlySpan<byte> name, string value)
    {
        _json.Name(name);
        _json.String(value);
    }

    private void Number(ReadOnlySpan<byte> name, long value)
    {
        _json.Name(name);
        _json.Number(value);
    }
}
