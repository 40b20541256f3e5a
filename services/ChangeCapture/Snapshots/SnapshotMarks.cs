using System.Collections.Concurrent;
using Npgsql;
using RuleEngineNats.ChangeCapture.Pgoutput;

namespace RuleEngineNats.ChangeCapture.Snapshots;

/// <summary>What those who read tables leave for the one who reads the WAL: the tables whose changes matter, and what belongs to a mark.</summary>
internal sealed class SnapshotMarks(string slot)
{
    private readonly ConcurrentDictionary<uint, TableWindow> _windows = new();
    private readonly ConcurrentDictionary<string, MarkedContent> _marks = new();

    public TableWindow Open(TableDescription description) => _windows[description.Oid] = new(description.Oid, description.Key);

    public void Close(uint table) => _windows.TryRemove(table, out _);

    /// <summary>Writes a mark into the WAL, at the commit of the transaction, and waits until it was met there and the outputs have what belongs to it.</summary>
    /// <param name="transaction">Null for one of the mark's own.</param>
    public async Task WriteAsync(NpgsqlConnection connection, NpgsqlTransaction? transaction, MarkedContent content, CancellationToken cancellationToken)
    {
        var mark = Guid.NewGuid().ToString("N");
        _marks[mark] = content;
        try
        {
            await TableQueries.EmitAsync(connection, new() { Slot = slot, Mark = mark }, cancellationToken);
            if (transaction is not null)
            {
                await transaction.CommitAsync(cancellationToken);
            }
        }
        catch (Exception)
        {
            // Either it is taken back, and whether the commit was done does not matter, or it has been met: then it was.
            if (_marks.TryRemove(mark, out _) || cancellationToken.IsCancellationRequested)
            {
                throw;
            }
        }

        await content.Written.WaitAsync(cancellationToken);
    }

    /// <returns>Null for one of an earlier session, or that was taken back: its content is read again.</returns>
    public MarkedContent? Take(string mark) => _marks.TryRemove(mark, out var content) ? content : null;

    public void Note(uint xid, WalMessage.Row row)
    {
        if (_windows.TryGetValue(row.Relation.Id, out var window))
        {
            window.Note(xid, row);
        }
    }

    /// <summary>Another session: the WAL comes again from where the slot is confirmed.</summary>
    public void Clear()
    {
        _windows.Clear();
        _marks.Clear();
    }
}
