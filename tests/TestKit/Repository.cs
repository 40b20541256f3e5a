namespace RuleEngineNats.TestKit;

/// <summary>Where the built services are: the tests run what this checkout built, in the tests' own configuration.</summary>
public static class Repository
{
    public static string Root { get; } = FindRoot();

    private static string Configuration { get; } = new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;

    public static string Path(params string[] parts) => System.IO.Path.Combine([Root, .. parts]);

    /// <summary>The assembly of a service, e.g. <c>services/CdcRelay/bin/Debug/net10.0/CdcRelay.dll</c>, or of an example.</summary>
    /// <param name="name">Its project.</param>
    /// <param name="assemblyName">Where it has another name than the project.</param>
    public static string Service(string name, string? assemblyName = null)
    {
        var folder = Directory.Exists(Path("services", name)) ? Path("services", name) : Path("examples", "consumers", name);
        var assembly = System.IO.Path.Combine(folder, "bin", Configuration, "net10.0", $"{assemblyName ?? name}.dll");
        return File.Exists(assembly) ? assembly : throw new FileNotFoundException($"{name} is not built: {assembly}");
    }

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(System.IO.Path.Combine(folder.FullName, "RuleEngineNats.sln")))
            {
                return folder.FullName;
            }
        }

        throw new DirectoryNotFoundException($"no RuleEngineNats.sln above {AppContext.BaseDirectory}");
    }
}
