namespace RuleEngineNats.Entities;

/// <summary>What is wrong in a definition, and where.</summary>
/// <param name="File">Name of the file in its folder; empty where the folder itself is the problem.</param>
/// <param name="Line">Line, from 1; 0 where there is none.</param>
/// <param name="Column">Column, from 1; 0 where there is none.</param>
/// <param name="Path">Where it is in the document, such as <c>entity.fields[2].type</c>; empty for the document itself.</param>
/// <param name="Message">What is wrong.</param>
/// <param name="Fix">What to do about it.</param>
public sealed record EntityProblem(string File, int Line, int Column, string Path, string Message, string Fix)
{
    /// <summary>One line, as compilers print it: <c>file:line:column: path: message (fix)</c>.</summary>
    public override string ToString()
    {
        var place = File.Length == 0 ? "" : Line == 0 ? $"{File}: " : $"{File}:{Line}:{Column}: ";
        return $"{place}{(Path.Length == 0 ? "" : $"{Path}: ")}{Message} ({Fix})";
    }
}
