namespace RuleEngineNats.IngestionTool.Input;

/// <summary>One document of the input, or what is in its place. Its bytes are reused for the next one.</summary>
/// <param name="Number">Its line in the input; the first of them where a CSV record has several.</param>
/// <param name="Document">The bytes to send, or as far as they are known where there is a problem.</param>
/// <param name="End">The offset behind it in the input, where <see cref="ILines.CanSeek"/>; else about how far the reading is.</param>
internal readonly record struct SourceLine(long Number, ReadOnlyMemory<byte> Document, long End)
{
    /// <summary>Why it cannot be sent.</summary>
    public LineProblem? Problem { get; init; }

    /// <summary>The input ends in the middle of this line: it has no line break.</summary>
    public bool Unterminated { get; init; }

    public bool IsBlank => Problem is null && Document.Span.Trim(" \t\r"u8).IsEmpty;
}

/// <summary>Why a line is refused; here or by the API.</summary>
internal sealed record LineProblem(string Code, string? Field, string? Detail);

/// <summary>What an input is read as.</summary>
internal interface ILines
{
    /// <summary>Whether <see cref="SourceLine.End"/> is a place to go on from; otherwise what was read before is read again and passed over.</summary>
    public bool CanSeek { get; }

    public IAsyncEnumerable<SourceLine> ReadAsync(CancellationToken cancellationToken);
}

/// <summary>The input cannot be read any further. The message says where, why, and what to do.</summary>
internal sealed class InputException(string message) : Exception(message);
