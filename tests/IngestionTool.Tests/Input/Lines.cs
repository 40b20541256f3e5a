using System.Text;
using RuleEngineNats.IngestionTool.Input;

namespace RuleEngineNats.IngestionTool.Tests.Input;

/// <summary>Lines as the tests compare them: what a reader gives is gone with the next line.</summary>
internal sealed record Line(long Number, string Document, string? Problem)
{
    public bool Unterminated { get; init; }

    public long End { get; init; }

    public static async Task<List<Line>> OfAsync(ILines lines)
    {
        var all = new List<Line>();
        await foreach (var line in lines.ReadAsync(CancellationToken.None))
        {
            all.Add(new(line.Number, Encoding.UTF8.GetString(line.Document.Span), line.Problem?.Code) { Unterminated = line.Unterminated, End = line.End });
        }

        return all;
    }

    public static MemoryStream Stream(string text) => new(Encoding.UTF8.GetBytes(text));
}

/// <summary>A stream that gives few bytes at a time, as a pipe may.</summary>
internal sealed class Trickle(byte[] bytes, int most) : MemoryStream(bytes)
{
    public override int Read(byte[] buffer, int offset, int count) => base.Read(buffer, offset, Math.Min(count, most));

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        => base.ReadAsync(buffer[..Math.Min(buffer.Length, most)], cancellationToken);
}
