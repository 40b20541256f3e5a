using System.Text.RegularExpressions;
using System.Xml.Linq;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.Architecture.Tests;

/// <summary>Rules of the source tree that no compiler checks.</summary>
public sealed class SourceTreeTests
{
    private const int MostLines = 400;

    private static readonly string[] Services = ["CdcRelay", "ConfigService", "DeliveryWorker", "IngestionApi", "IngestionWorker", "PublishService"];

    [Fact]
    public void No_project_outside_offline_refers_to_it()
    {
        var projects = Files("*.csproj", "*.props", "*.targets", "*.sln").ToArray();
        Assert.Contains(projects, project => project.EndsWith("AppHost.csproj", StringComparison.Ordinal));
        Assert.DoesNotContain(projects, project => File.ReadAllText(project).Contains("offline", StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public void No_code_outside_offline_knows_which_packages_serve()
        => Assert.DoesNotContain(
            Files("*.cs").Where(file => !file.Contains("Architecture.Tests", StringComparison.Ordinal)),
            file => Regex.IsMatch(File.ReadAllText(file), @"stand-?in(?!g)|offline/", RegexOptions.IgnoreCase));

    [Fact]
    public void Packages_have_one_version_and_it_is_central()
        => Assert.DoesNotContain(
            Files("*.csproj"),
            project => XDocument.Load(project).Descendants("PackageReference").Any(reference => reference.Attribute("Version") is not null));

    [Fact]
    public void No_source_file_is_longer_than_four_hundred_lines()
        => Assert.DoesNotContain(Files("*.cs"), file => File.ReadLines(file).Count() > MostLines);

    [Fact]
    public void Services_do_not_reference_each_other()
    {
        foreach (var service in Services)
        {
            var references = XDocument.Load(Repository.Path("services", service, $"{service}.csproj"))
                .Descendants("ProjectReference")
                .Select(reference => Path.GetFileNameWithoutExtension((string)reference.Attribute("Include")!));
            Assert.Empty(references.Intersect(Services));
        }
    }

    [Fact]
    public void Contracts_reference_no_project()
        => Assert.Empty(XDocument.Load(Repository.Path("services", "Contracts", "Contracts.csproj")).Descendants("ProjectReference"));

    // Ours outside offline/, without what tools generate.
    private static IEnumerable<string> Files(params string[] patterns)
        => patterns.SelectMany(pattern => Directory.EnumerateFiles(Repository.Root, pattern, SearchOption.AllDirectories))
            .Where(file => !Path.GetRelativePath(Repository.Root, file).Split(Path.DirectorySeparatorChar)
                .Any(part => part is "offline" or "bin" or "obj" or ".packages" or "node_modules" or "artifacts" or ".git"));
}
