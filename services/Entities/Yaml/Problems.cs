namespace RuleEngineNats.Entities.Yaml;

/// <summary>Collects what is wrong.</summary>
internal sealed class Problems
{
    private readonly HashSet<EntityProblem> _all = [];

    /// <summary>Some definition could not be read, so a name that is not found may well exist.</summary>
    public bool Incomplete { get; set; }

    public int Count => _all.Count;

    public void Add(YamlNode node, string message, string fix) => _all.Add(new(node.File, node.Line, node.Column, node.Path, message, fix));

    public void Add(string file, int line, int column, string path, string message, string fix) => _all.Add(new(file, line, column, path, message, fix));

    public IReadOnlyList<EntityProblem> Sorted()
        => [.. _all.OrderBy(problem => problem.File, StringComparer.Ordinal).ThenBy(problem => problem.Line).ThenBy(problem => problem.Column).ThenBy(problem => problem.Message, StringComparer.Ordinal)];
}
