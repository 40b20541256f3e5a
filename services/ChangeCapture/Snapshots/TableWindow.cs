using System.Text;
using RuleEngineNats.ChangeCapture.Pgoutput;

namespace RuleEngineNats.ChangeCapture.Snapshots;

/// <summary>
/// The rows of one table that changed and that the statement which reads a chunk may not have seen. For the reader of the WAL, but for <see cref="Expect"/>.
/// </summary>
/// <remarks>
/// <para>A chunk is read with a snapshot S, in a transaction whose commit M is its mark in the WAL. Every change that committed before M is an event before the
/// chunk; a row that such a change touched and S does not see is older than that event, and left out. A change behind M comes as an event later.</para>
/// <para>Whether S sees a change is asked of S itself. Its place in the WAL does not tell: a transaction writes its commit there first and becomes visible
/// afterwards, with synchronous replication seconds later, so that S may miss what committed long before it. Noting therefore begins before the first chunk, and
/// the transactions that wrote to the table at that moment are waited for (<see cref="TableWriters"/>).</para>
/// <para>TRUNCATE and changes of the table's columns need the table for themselves. The transaction that reads a chunk has it locked until M is written: they are
/// before S, and seen, or behind M.</para>
/// </remarks>
internal sealed class TableWindow(uint table, IReadOnlyList<KeyPart> key)
{
    // Of one table, together; some 20 MB of short keys.
    private const int MostKeys = 100_000;

    private readonly Dictionary<uint, Changes> _changes = [];
    private (Relation Relation, int[]? Columns) _known;
    private volatile TableChunk? _expected;
    private int _keys;

    public bool Fits(TableDescription description) => description.Oid == table && description.Key.SequenceEqual(key);

    /// <summary>This chunk comes next: what it sees need not be noted any more.</summary>
    public void Expect(TableChunk chunk) => _expected = chunk;

    public void Note(uint xid, WalMessage.Row row)
    {
        if (_expected?.Description.Snapshot.Sees(xid) == true)
        {
            return;
        }

        if (!_changes.TryGetValue(xid, out var changes))
        {
            _changes[xid] = changes = new();
        }

        var columns = KeyColumns(row.Relation);
        if (columns is null && row.Operation is RowOperation.Insert)
        {
            // A publication of inserts alone may leave the key out. A row that is new is in no chunk that does not see it.
            return;
        }

        var old = KeyOf(row.Old, columns, row.Old);
        var now = KeyOf(row.New, columns, row.Old);
        if (_keys >= MostKeys || (old ?? now) is null || (row.New is not null && now is null))
        {
            changes.Unknown = true;
            return;
        }

        if (old is not null)
        {
            _keys += changes.Keys.TryAdd(old, false) ? 1 : 0;
            changes.Keys[old] = false;
        }

        if (now is not null)
        {
            _keys += changes.Keys.TryAdd(now, false) ? 1 : 0;
            changes.Keys[now] = row.New!.Any(value => value.Kind is ValueKind.UnchangedToast);
        }
    }

    /// <summary>The chunk's mark has come: decides which of its rows hold here.</summary>
    public void Settle(TableChunk chunk)
    {
        _expected = null;
        foreach (var (xid, changes) in _changes.Where(changes => chunk.Description.Snapshot.Sees(changes.Key)).ToArray())
        {
            _keys -= changes.Keys.Count;
            _changes.Remove(xid);
        }

        var (kept, settled) = (new List<(ReadRow, int)>(chunk.Rows.Count), 0);
        if (!_changes.Values.Any(changes => changes.Unknown))
        {
            foreach (var row in chunk.Rows)
            {
                var text = Text(row.Key);
                var touched = _changes.Values.Where(changes => changes.Keys.ContainsKey(text)).ToArray();
                // The change named values that it did not carry (TOAST), and nobody has them before this row was read: again from here, with the change in sight.
                if (Array.Exists(touched, changes => changes.Keys[text]))
                {
                    break;
                }

                if (touched.Length == 0)
                {
                    kept.Add((row, settled));
                }

                settled++;
            }
        }

        (chunk.Kept, chunk.Settled) = (kept, settled);
    }

    /// <summary>One text for the values of a key, different for different keys.</summary>
    private static string Text(string[] values)
        => values.Length == 1 ? values[0] : string.Concat(values.Select(value => string.Create(null, $"{value.Length}:{value}")));

    // A large value of the key that an update leaves as it is comes with the old key alone.
    private static string? KeyOf(Value[]? row, int[]? columns, Value[]? old)
    {
        if (row is null || columns is null)
        {
            return null;
        }

        var values = new string[columns.Length];
        for (var index = 0; index < columns.Length; index++)
        {
            var value = row[columns[index]];
            if (value.Kind is ValueKind.UnchangedToast && old is not null)
            {
                value = old[columns[index]];
            }

            if (value.Kind is not ValueKind.Text)
            {
                return null;
            }

            values[index] = Encoding.UTF8.GetString(value.Text.Span);
        }

        return Text(values);
    }

    private int[]? KeyColumns(Relation relation)
    {
        if (_known.Relation != relation)
        {
            var columns = key.Select(part => relation.Columns.ToList().FindIndex(column => column.Name == part.Name)).ToArray();
            _known = (relation, Array.Exists(columns, column => column < 0) ? null : columns);
        }

        return _known.Columns;
    }

    private sealed class Changes
    {
        /// <summary>Key, and whether the change left out values that did not change.</summary>
        public Dictionary<string, bool> Keys { get; } = [];

        /// <summary>It changed rows that are not known: too many, or without their key.</summary>
        public bool Unknown { get; set; }
    }
}
