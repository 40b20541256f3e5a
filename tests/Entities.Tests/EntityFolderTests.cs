using System.Diagnostics;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.Entities.Tests;

/// <summary>Definitions are taken over while the process runs; what is wrong is not.</summary>
public sealed class EntityFolderTests : IDisposable
{
    private const string A = "entity: {name: A, fields: [{name: x, type: Integer}], persistence: {database: {conformant_table: a}}}";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("entities-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task A_change_is_taken_over_and_a_problem_keeps_what_was()
    {
        Write("a.yaml", A);
        using var folder = Open(_folder.FullName);
        var changes = 0;
        folder.Changed += (_, _) => Interlocked.Increment(ref changes);
        Assert.Equal(["A"], Names(folder));
        await folder.StartAsync(CancellationToken.None);

        Write("b.yaml", A.Replace("A", "B", StringComparison.Ordinal).Replace(": a}", ": b}", StringComparison.Ordinal));
        await Wait.UntilAsync(() => Names(folder) is ["A", "B"], "the new file is in use");
        await Wait.UntilAsync(() => Volatile.Read(ref changes) == 1, "the change was told");

        var before = folder.Current;
        Write("b.yaml", "entity: {name: B}");
        await Wait.UntilAsync(() => folder.Problems.Count > 0, "the problem is seen");
        Assert.Same(before, folder.Current);
        Assert.Equal("'B' has no fields", folder.Problems[0].Message);

        File.Delete(Path.Combine(_folder.FullName, "b.yaml"));
        await Wait.UntilAsync(() => Names(folder) is ["A"] && folder.Problems.Count == 0, "the file is gone");
        await Wait.UntilAsync(() => Volatile.Read(ref changes) == 2, "the second change was told, and none between");
        await folder.StopAsync(CancellationToken.None);
    }

    [Fact]
    public async Task A_folder_of_links_that_are_replaced_at_once_is_taken_over_as_a_ConfigMap_is()
    {
        Mount("1", A);
        File.CreateSymbolicLink(Path.Combine(_folder.FullName, "a.yaml"), Path.Combine("..data", "a.yaml"));
        using var folder = Open(_folder.FullName);
        Assert.Equal(["A"], Names(folder));
        await folder.StartAsync(CancellationToken.None);

        Mount("2", A.Replace("name: A", "name: Z", StringComparison.Ordinal));
        await Wait.UntilAsync(() => Names(folder) is ["Z"], "the new version is in use");
        await folder.StopAsync(CancellationToken.None);
    }

    [Fact]
    public async Task A_folder_that_is_missing_is_a_problem_until_it_is_there()
    {
        var path = Path.Combine(_folder.FullName, "later");
        using var folder = Open(path);
        Assert.Same(EntityCatalog.Empty, folder.Current);
        Assert.StartsWith($"{path} cannot be read: ", Assert.Single(folder.Problems).ToString(), StringComparison.Ordinal);
        await folder.StartAsync(CancellationToken.None);

        Directory.CreateDirectory(path);
        File.WriteAllText(Path.Combine(path, "a.yaml"), A);
        await Wait.UntilAsync(() => Names(folder) is ["A"] && folder.Problems.Count == 0, "the folder is in use");
        await folder.StopAsync(CancellationToken.None);
    }

    [Fact]
    public void Without_a_folder_there_are_no_entities_and_no_problems()
    {
        using var folder = Open(null);
        Assert.Same(EntityCatalog.Empty, folder.Current);
        Assert.Empty(folder.Problems);
    }

    [Fact]
    public async Task A_service_gets_its_folder_from_the_configuration()
    {
        Write("a.yaml", A);
        var builder = Host.CreateApplicationBuilder();
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?> { ["Ingestion:Entities:Folder"] = _folder.FullName, ["Ingestion:Entities:PollInterval"] = "00:00:00.050" });
        builder.AddEntities();
        using var host = builder.Build();
        await host.StartAsync();
        var folder = host.Services.GetRequiredService<EntityFolder>();
        Assert.Equal(["A"], Names(folder));

        Write("a.yaml", A.Replace("name: A", "name: B", StringComparison.Ordinal));
        await Wait.UntilAsync(() => Names(folder) is ["B"], "the change is in use");
        await host.StopAsync();
    }

    private static EntityFolder Open(string? path) => new(
        Options.Create(new IngestionEntitiesOptions { Folder = path, PollInterval = TimeSpan.FromMilliseconds(50) }), TimeProvider.System, NullLogger<EntityFolder>.Instance);

    private static string[] Names(EntityFolder folder) => [.. folder.Current.Entities.Select(entity => entity.Name)];

    // Written beside and moved, so that no half of it is read.
    private void Write(string name, string text)
    {
        var file = Path.Combine(_folder.FullName, $".{name}.new");
        File.WriteAllText(file, text);
        File.Move(file, Path.Combine(_folder.FullName, name), overwrite: true);
    }

    // What kubelet does: a folder of its own for each version, and one link that moves.
    private void Mount(string version, string text)
    {
        Directory.CreateDirectory(Path.Combine(_folder.FullName, $"..{version}"));
        File.WriteAllText(Path.Combine(_folder.FullName, $"..{version}", "a.yaml"), text);
        var link = Path.Combine(_folder.FullName, $"..data_{version}");
        Directory.CreateSymbolicLink(link, $"..{version}");
        using var move = Process.Start("mv", ["-T", link, Path.Combine(_folder.FullName, "..data")]);
        move.WaitForExit();
        Assert.Equal(0, move.ExitCode);
    }
}
