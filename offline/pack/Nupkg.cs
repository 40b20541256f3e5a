using System.IO.Compression;
using System.Xml.Linq;

namespace RuleEngineNats.Offline;

/// <summary>Writes a minimal .nupkg for net10.0: nuspec, content types and the assemblies.</summary>
internal static class Nupkg
{
    private const string TargetFramework = "net10.0";
    private static readonly XNamespace Nuspec = "http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd";
    private static readonly XNamespace ContentTypes = "http://schemas.openxmlformats.org/package/2006/content-types";

    public static void Write(string feed, Package package, Dictionary<string, byte[]> assemblies)
    {
        using var archive = new ZipArchive(File.Create(Path.Combine(feed, $"{package.Id}.{package.Version}.nupkg")), ZipArchiveMode.Create);
        Add(archive, $"{package.Id}.nuspec", Describe(package));
        Add(archive, "[Content_Types].xml", new XElement(ContentTypes + "Types",
            ContentType("nuspec"), ContentType("dll"), ContentType("_")));
        foreach (var (name, content) in assemblies)
        {
            using var entry = archive.CreateEntry($"lib/{TargetFramework}/{name}").Open();
            entry.Write(content);
        }

        if (assemblies.Count == 0)
        {
            archive.CreateEntry($"lib/{TargetFramework}/_._");
        }
    }

    private static XElement Describe(Package package) => new(Nuspec + "package",
        new XElement(Nuspec + "metadata",
            new XElement(Nuspec + "id", package.Id),
            new XElement(Nuspec + "version", package.Version),
            new XElement(Nuspec + "authors", "repacked"),
            new XElement(Nuspec + "description", $"The genuine assemblies of {package.Id}, packed again for a feed that lacks them."),
            new XElement(Nuspec + "dependencies",
                new XElement(Nuspec + "group", new XAttribute("targetFramework", TargetFramework),
                    package.Dependencies.Select(dependency => new XElement(Nuspec + "dependency",
                        new XAttribute("id", dependency.Id),
                        new XAttribute("version", dependency.Version),
                        dependency.Include is null ? null : new XAttribute("include", dependency.Include))))),
            package.AspNetCore
                ? new XElement(Nuspec + "frameworkReferences",
                    new XElement(Nuspec + "group", new XAttribute("targetFramework", TargetFramework),
                        new XElement(Nuspec + "frameworkReference", new XAttribute("name", "Microsoft.AspNetCore.App"))))
                : null));

    private static XElement ContentType(string extension)
        => new(ContentTypes + "Default", new XAttribute("Extension", extension), new XAttribute("ContentType", "application/octet"));

    private static void Add(ZipArchive archive, string name, XElement content)
    {
        using var entry = archive.CreateEntry(name).Open();
        content.Save(entry);
    }
}
