using System.Text;
using System.Text.RegularExpressions;

namespace RuleEngineNats.TestKit;

/// <summary>What a <see cref="TcpProxy"/> does to JetStream's acknowledgements: <c>{"stream":"WEBHOOKS","seq":7}</c> on an inbox.</summary>
public sealed partial class PubAcks
{
    private int _seen;
    private int _harmed;

    /// <summary>Pieces that were cut off or changed.</summary>
    public int Harmed => Volatile.Read(ref _harmed);

    /// <summary>Cuts the connection instead of every <paramref name="nth"/> piece with an acknowledgement: the event is stored, and nobody knows.</summary>
    public Func<byte[], byte[]?> CutEvery(int nth) => bytes =>
    {
        if (!Sequence.IsMatch(Encoding.Latin1.GetString(bytes)) || Interlocked.Increment(ref _seen) % nth != 0)
        {
            return bytes;
        }

        Interlocked.Increment(ref _harmed);
        return null;
    };

    /// <summary>Says sequence 0 in every acknowledgement; the length stays what the protocol announced.</summary>
    public Func<byte[], byte[]?> SayZero() => bytes =>
    {
        var text = Encoding.Latin1.GetString(bytes);
        var changed = Sequence.Replace(text, match => "\"seq\":0".PadRight(match.Length));
        if (changed != text)
        {
            Interlocked.Increment(ref _harmed);
        }

        return Encoding.Latin1.GetBytes(changed);
    };

    [GeneratedRegex("\"seq\":[1-9][0-9]*(?=[,}])")]
    private static partial Regex Sequence { get; }
}
