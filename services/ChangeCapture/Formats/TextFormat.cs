using System.Globalization;
using System.Text;
using RuleEngineNats.ChangeCapture.Events;
using RuleEngineNats.ChangeCapture.Pgoutput;

namespace RuleEngineNats.ChangeCapture.Formats;

/// <summary>Lines for people to read, in upstream's form.</summary>
internal sealed class TextFormat(RowShape shape) : EventFormat
{
    private readonly StringBuilder _text = new();

    public override byte[] Format(in ChangeEvent change)
    {
        _text.Clear();
        switch (change.Message)
        {
            case WalMessage.Begin begin:
                Line($"BEGIN [LSN: {EventPosition.Text(begin.CommitLsn)}, XID: {begin.Xid}, Time: {begin.CommitTime}]");
                break;
            case WalMessage.Commit commit:
                Line($"COMMIT [LSN: {EventPosition.Text(commit.CommitLsn)}, Time: {commit.CommitTime}]");
                break;
            case WalMessage.RelationDescription { Relation: var relation }:
                Line($"RELATION [{relation.Schema}.{relation.Name} (ID: {relation.Id})]");
                Line($"  Columns:");
                foreach (var column in relation.Columns.Where(column => column.Treatment is not ColumnTreatment.Drop))
                {
                    Line($"    - {column.Name} (type_id: {column.TypeId}, flags: {(column.IsKey ? 1 : 0)})");
                }

                break;
            case WalMessage.Row row:
                Line($"{Verb(row.Operation)} {row.Relation.Schema}.{row.Relation.Name} (ID: {row.Relation.Id})");
                Values("Old", row.Relation, row.Old, row.OldIsKey);
                Values("New", row.Relation, row.New, keyOnly: false);
                break;
            case WalMessage.Truncate { Relations: [var relation, ..] } truncate:
                Line($"TRUNCATE {relation.Schema}.{relation.Name} (ID: {relation.Id}){(truncate.Cascade ? " CASCADE" : "")}{(truncate.RestartIdentity ? " RESTART IDENTITY" : "")}");
                break;
            case WalMessage.TypeDescription type:
                Line($"TYPE [{type.Schema}.{type.Name} (ID: {type.Id})]");
                break;
            case WalMessage.Origin origin:
                Line($"ORIGIN [{origin.Name}, LSN: {EventPosition.Text(origin.CommitLsn)}]");
                break;
            case WalMessage.Logical message:
                Line($"MESSAGE [{message.Prefix}, LSN: {EventPosition.Text(message.Lsn)}] {Encoding.UTF8.GetString(message.Content.Span)}");
                break;
            case WalMessage.Snapshot { Event: var said }:
                Line($"SNAPSHOT {said.State} [{said.Id}] {string.Join(", ", said.Tables)}: {said.Rows} rows{(said.Error is null ? "" : $"; {said.Error}")}");
                break;
            case WalMessage.Gap gap:
                Line($"GAP [from {EventPosition.Text(gap.FromLsn)} to {EventPosition.Text(gap.ToLsn)}] {gap.Reason}");
                break;
        }

        if (shape.WithTransaction && change is { Transaction: { } transaction, Message: WalMessage.Row or WalMessage.Truncate or WalMessage.Logical })
        {
            Line($"  Transaction: XID {transaction.Xid}, sequence {change.Position.Index}, LSN {EventPosition.Text(change.Lsn)}, commit LSN {EventPosition.Text(transaction.CommitLsn)}");
        }

        return Encoding.UTF8.GetBytes(_text.ToString(0, _text.Length - 1));
    }

    private static string Verb(RowOperation operation) => operation switch
    {
        RowOperation.Insert => "INSERT into",
        RowOperation.Update => "UPDATE",
        RowOperation.Read => "READ from",
        _ => "DELETE from",
    };

    private void Line(FormattableString line) => _text.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');

    private void Values(string which, Relation relation, Value[]? row, bool keyOnly)
    {
        if (row is null)
        {
            return;
        }

        Line($"  {which} values:");
        for (var index = 0; index < row.Length; index++)
        {
            var column = relation.Columns[index];
            if (RowText.IsUnchanged(column, row[index]))
            {
                Line($"    {column.Name}: (unchanged, not sent)");
            }
            else if (RowText.IsShown(column, row[index], keyOnly))
            {
                Line($"    {column.Name}: {Text(column, row[index])}");
            }
        }
    }

    private string Text(Column column, Value value) => value.Kind is ValueKind.Null
        ? "NULL"
        : Encoding.UTF8.GetString(RowText.Replacement(column, value, shape.HashSalt) ?? value.Text.Span);
}
