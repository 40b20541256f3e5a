using System.Text;
using RuleEngineNats.Entities.Compilation;
using RuleEngineNats.Entities.Definitions;
using RuleEngineNats.Entities.Yaml;

namespace RuleEngineNats.Entities;

/// <summary>What a folder was loaded into: a catalog, or problems.</summary>
/// <param name="Catalog">Null when there are problems.</param>
/// <param name="Problems">All problems of all files, in their order.</param>
public sealed record EntityLoad(EntityCatalog? Catalog, IReadOnlyList<EntityProblem> Problems);

/// <summary>Loads definitions.</summary>
public static class EntityLoader
{
    private const string OneFolder = "name a folder that this process may read";

    /// <summary>Loads all <c>*.yaml</c> and <c>*.yml</c> of a folder, in the order of their names; folders in it are not looked into.</summary>
    public static EntityLoad Load(string folder)
    {
        var problems = new Problems();
        var drafts = new List<EntityDraft>();
        if (string.IsNullOrWhiteSpace(folder))
        {
            problems.Add("", 0, 0, "", "no folder is given", $"set {IngestionEntitiesOptions.Section}:{nameof(IngestionEntitiesOptions.Folder)}");
            return new(null, problems.Sorted());
        }

        try
        {
            var files = Files(folder);
            if (files.Count > EntityLimits.Files)
            {
                problems.Add("", 0, 0, "", $"{folder} has {files.Count} files, at most {EntityLimits.Files}", "merge or remove some");
                files = files[..EntityLimits.Files];
            }

            foreach (var file in files)
            {
                Read(file, problems, drafts);
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            problems.Incomplete = true;
            problems.Add("", 0, 0, "", $"{folder} cannot be read: {exception.Message}", OneFolder);
        }

        return Compile(drafts, problems);
    }

    /// <summary>Loads one text, as if it were a file.</summary>
    public static EntityLoad LoadText(string file, string yaml)
    {
        var problems = new Problems();
        var drafts = new List<EntityDraft>();
        ReadText(file, yaml, problems, drafts);
        return Compile(drafts, problems);
    }

    /// <summary>The files that count as definitions, ordered by name. Hidden ones are left out: a ConfigMap's own links among them.</summary>
    internal static List<FileInfo> Files(string folder)
        => [.. new DirectoryInfo(folder).EnumerateFiles()
            .Where(file => file.Extension is ".yaml" or ".yml" && file.Name[0] != '.')
            .OrderBy(file => file.Name, StringComparer.Ordinal)];

    private static EntityLoad Compile(List<EntityDraft> drafts, Problems problems)
    {
        var catalog = new CompileCatalog(drafts, problems).Compile();
        return new(catalog, problems.Sorted());
    }

    private static void Read(FileInfo file, Problems problems, List<EntityDraft> drafts)
    {
        try
        {
            var bytes = ReadBytes(file);
            if (bytes is null)
            {
                problems.Incomplete = true;
                problems.Add(file.Name, 0, 0, "", $"larger than {EntityLimits.FileBytes} bytes", "split the file");
                return;
            }

            ReadText(file.Name, new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(bytes), problems, drafts);
        }
        catch (DecoderFallbackException)
        {
            problems.Incomplete = true;
            problems.Add(file.Name, 0, 0, "", "not valid UTF-8", "save the file as UTF-8");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            problems.Incomplete = true;
            problems.Add(file.Name, 0, 0, "", $"cannot be read: {exception.Message}", "let this process read the file");
        }
    }

    // The size is taken from what is read: a file may grow, and some have no length.
    private static byte[]? ReadBytes(FileInfo file)
    {
        using var stream = file.OpenRead();
        var buffer = new byte[EntityLimits.FileBytes + 1];
        var length = stream.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false);
        return length > EntityLimits.FileBytes ? null : buffer[..length];
    }

    private static void ReadText(string file, string text, Problems problems, List<EntityDraft> drafts)
    {
        var before = problems.Count;
        var documents = YamlFile.Read(file, text.TrimStart('\uFEFF'), problems);
        if (documents.Count == 0 && problems.Count == before)
        {
            problems.Add(file, 1, 1, "", "no entity", "begin with 'entity:' or 'apiVersion: nomnom.io/v1', or remove the file");
        }

        foreach (var document in documents)
        {
            if (ReadDefinition.Read(document, problems) is { } draft)
            {
                drafts.Add(draft);
            }
            else
            {
                problems.Incomplete = true;
            }
        }
    }
}
