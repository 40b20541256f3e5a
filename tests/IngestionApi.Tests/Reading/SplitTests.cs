using System.Buffers;
using System.Globalization;
using System.Text;
using RuleEngineNats.IngestionApi.Reading;

namespace RuleEngineNats.IngestionApi.Tests.Reading;

public sealed class SplitTests
{
    private const int Most = 20;

    [Theory]
    [InlineData("", "")]
    [InlineData("{}", "1 Last {}")]
    [InlineData("{}\n", "1 Document {}")]
    [InlineData("{}\r\n", "1 Document {}")]
    [InlineData("\n", "1 Blank ")]
    [InlineData(" \t\r\n1\n\n2", "1 Blank |2 Document 1|3 Blank |4 Last 2")]
    [InlineData(" 1 \n 2 ", "1 Document 1|2 Last 2")]
    [InlineData("1\n  ", "1 Document 1")]
    [InlineData("aaaaaaaaaaaaaaaaaaaa\n1\n", "1 Document aaaaaaaaaaaaaaaaaaaa|2 Document 1")]
    [InlineData("aaaaaaaaaaaaaaaaaaaaa\n1\n", "1 TooLong |2 Document 1")]
    [InlineData("aaaaaaaaaaaaaaaaaaaaa", "1 TooLong ")]
    [InlineData("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n\nb\n", "1 TooLong |2 Blank |3 Document b")]
    public void Lines_are_found_however_they_arrive(string body, string expected) => Check(() => new SplitLines(Most), body, expected);

    [Theory]
    [InlineData("", "1 NoArray ")]
    [InlineData("  ", "1 NoArray ")]
    [InlineData("{}", "1 NoArray ")]
    [InlineData("[]", "")]
    [InlineData(" [ ] ", "")]
    [InlineData("[1]", "1 Document 1")]
    [InlineData(" [ 1 , {\"a\":[1,2]} ,\n\"x,]\" ] ", "1 Document 1|2 Document {\"a\":[1,2]}|3 Document \"x,]\"")]
    [InlineData("[\"\\\"]\",\"\\\\\",3]", "1 Document \"\\\"]\"|2 Document \"\\\\\"|3 Document 3")]
    [InlineData("[1,]", "1 Document 1|2 Document ")]
    [InlineData("[,1]", "1 Document |2 Document 1")]
    [InlineData("[{bad},2]", "1 Document {bad}|2 Document 2")]
    [InlineData("[}1,2]", "1 Document }1|2 Document 2")]
    [InlineData("[1] x", "1 Document 1|2 AfterArray ")]
    [InlineData("[1][2]", "1 Document 1|2 AfterArray ")]
    [InlineData("[1,2", "1 Document 1|2 Unclosed 2")]
    [InlineData("[", "1 Unclosed ")]
    [InlineData("[1,", "1 Document 1|2 Unclosed ")]
    [InlineData("[\"a", "1 Unclosed \"a")]
    [InlineData("[\"aaaaaaaaaaaaaaaaaa\",1]", "1 Document \"aaaaaaaaaaaaaaaaaa\"|2 Document 1")]
    [InlineData("[\"aaaaaaaaaaaaaaaaaaa\",1]", "1 TooLong |2 Document 1")]
    [InlineData("[[\"aaaaa,]aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\\\"]\"],{}]", "1 TooLong |2 Document {}")]
    public void Elements_are_found_however_they_arrive(string body, string expected) => Check(() => new SplitArray(Most), body, expected);

    // Whole, byte by byte, and cut into pieces and arrivals at random.
    private static void Check(Func<ISplitBatch> make, string body, string expected)
    {
        var bytes = Encoding.UTF8.GetBytes(body);
        Assert.Equal(expected, Split(make(), bytes, static () => int.MaxValue, static () => int.MaxValue));
        Assert.Equal(expected, Split(make(), bytes, static () => 1, static () => 1));
        for (var seed = 0; seed < 200; seed++)
        {
            var random = new Random(seed);
            Assert.Equal(expected, Split(make(), bytes, () => random.Next(1, 8), () => random.Next(1, 5)));
        }
    }

    private static string Split(ISplitBatch split, byte[] bytes, Func<int> arrival, Func<int> piece)
    {
        var found = new List<string>();
        var (start, arrived) = (0, 0);
        do
        {
            arrived = (int)Math.Min(bytes.Length, (long)arrived + arrival());
            var sequence = Pieces(bytes.AsMemory(start..arrived), piece);
            var before = sequence.Length;
            while (split.TryTake(ref sequence, arrived == bytes.Length, out var item))
            {
                found.Add(string.Create(CultureInfo.InvariantCulture, $"{item.Line} {item.Kind} {Encoding.UTF8.GetString(item.Bytes.ToArray())}"));
                Assert.True(found.Count <= bytes.Length + 1);
            }

            start += (int)(before - sequence.Length);
            Assert.True(arrived - start <= Most + 2, "more is kept than an item may have");
        }
        while (arrived < bytes.Length);
        return string.Join('|', found);
    }

    private static ReadOnlySequence<byte> Pieces(ReadOnlyMemory<byte> bytes, Func<int> size)
    {
        if (bytes.IsEmpty)
        {
            return default;
        }

        Piece? first = null, last = null;
        while (!bytes.IsEmpty)
        {
            var length = Math.Min(bytes.Length, size());
            last = new Piece(bytes[..length], last);
            first ??= last;
            bytes = bytes[length..];
        }

        return new(first!, 0, last!, last!.Memory.Length);
    }

    private sealed class Piece : ReadOnlySequenceSegment<byte>
    {
        public Piece(ReadOnlyMemory<byte> bytes, Piece? previous)
        {
            Memory = bytes;
            if (previous is not null)
            {
                previous.Next = this;
                RunningIndex = previous.RunningIndex + previous.Memory.Length;
            }
        }
    }
}
