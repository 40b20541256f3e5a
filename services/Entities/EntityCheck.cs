namespace RuleEngineNats.Entities;

/// <summary>What <c>--check</c> does: validates a folder of definitions and shows the statements they stand for, without connecting to anything.</summary>
public static class EntityCheck
{
    /// <summary>The argument that asks for it. It has no value, so configuration must not see it: it would take the next argument for one.</summary>
    public const string Argument = "--check";

    /// <summary>The setting that names the folder.</summary>
    public const string FolderSetting = $"{IngestionEntitiesOptions.Section}:{nameof(IngestionEntitiesOptions.Folder)}";

    /// <summary>Prints every problem, one a line, or the statements that would be run.</summary>
    /// <returns>0 when the definitions are fine, else 1.</returns>
    public static int Run(string folder, TextWriter output)
    {
        var (catalog, problems) = EntityLoader.Load(folder);
        foreach (var problem in problems)
        {
            output.WriteLine(problem);
        }

        if (catalog is null)
        {
            output.WriteLine($"{problems.Count} {(problems.Count == 1 ? "problem" : "problems")}{(folder.Length == 0 ? "" : $" in {folder}")}");
            return 1;
        }

        output.WriteLine($"-- {catalog.Entities.Count} entities of {folder}, version {catalog.Version}; ingested: {string.Join(", ", catalog.Roots.Select(root => root.Name))}");
        foreach (var statement in EntityDdl.Statements(catalog))
        {
            output.WriteLine();
            output.WriteLine($"{statement};");
        }

        return 0;
    }
}
