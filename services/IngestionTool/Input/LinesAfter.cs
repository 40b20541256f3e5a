using System.Runtime.CompilerServices;

namespace RuleEngineNats.IngestionTool.Input;

/// <summary>A pipe that is given once more: what was read before is passed over.</summary>
internal sealed class LinesAfter(ILines lines, long line) : ILines
{
    public bool CanSeek => false;

    public async IAsyncEnumerable<SourceLine> ReadAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var next in lines.ReadAsync(cancellationToken))
        {
            if (next.Number > line)
            {
                yield return next;
            }
        }
    }
}
