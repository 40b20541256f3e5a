using System.Globalization;
using NpgsqlTypes;

namespace RuleEngineNats.ChangeCapture.Tests.Replay;

/// <summary>Sees the messages of a stream one after the other: each id is there once, and positions never go back.</summary>
internal sealed class StreamOrder(string slot)
{
    private readonly HashSet<string> _ids = [];
    private (ulong CommitLsn, long Index) _last;

    public int Messages => _ids.Count;

    public void Next(StoredEvent stored)
    {
        Assert.True(_ids.Add(stored.Id), $"{stored.Id} is there twice");
        var parts = stored.Id.Split(':');
        var position = ((ulong)NpgsqlLogSequenceNumber.Parse(parts[1]), long.Parse(parts[2], CultureInfo.InvariantCulture));
        Assert.True(parts[0] == slot && position.CompareTo(_last) >= 0, $"{stored.Id} comes after {_last}");
        _last = position;
    }
}
