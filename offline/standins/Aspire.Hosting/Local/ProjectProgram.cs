using System.Reflection;
using System.Text.RegularExpressions;
using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Aspire.Hosting.Local;

/// <summary>Finds what a project was built into. The AppHost's own build built it, in the AppHost's configuration.</summary>
internal static partial class ProjectProgram
{
    public static LocalCommand Command(IResource resource, IReadOnlyList<string> arguments, IServiceProvider provider)
    {
        var project = resource.Annotations.OfType<IProjectMetadata>().Single().ProjectPath;
        var directory = Path.GetDirectoryName(project)!;
        var configuration = Configuration(provider);
        var profile = LaunchProfiles.Effective(resource)?.Profile;
        string[] all = [.. arguments, .. profile?.CommandLineArgs is { } line ? Words().Matches(line).Select(static word => word.Value.Replace("\"", "", StringComparison.Ordinal)) : []];

        var program = Built(directory, configuration, Path.GetFileNameWithoutExtension(project));
        return program is null
            ? new LocalCommand(DotNet, ["run", "--project", project, "--configuration", configuration, "--no-build", "--no-launch-profile", "--", .. all]) { WorkingDirectory = directory }
            : new LocalCommand(DotNet, [program, .. all]) { WorkingDirectory = directory };
    }

    private static string DotNet =>
        Environment.ProcessPath is { } path && Path.GetFileNameWithoutExtension(path) == "dotnet" ? path
        : Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") is { Length: > 0 } host ? host
        : "dotnet";

    private static string Configuration(IServiceProvider provider) =>
        (provider.GetRequiredService<IHostEnvironment>().ApplicationName is { } name && Loaded(name) is { } appHost ? appHost : Assembly.GetEntryAssembly())
            ?.GetCustomAttribute<AssemblyConfigurationAttribute>()?.Configuration ?? "Debug";

    private static Assembly? Loaded(string name) => AppDomain.CurrentDomain.GetAssemblies().FirstOrDefault(assembly => assembly.GetName().Name == name);

    private static string? Built(string directory, string configuration, string name)
    {
        var output = Path.Combine(directory, "bin", configuration);
        if (!Directory.Exists(output))
        {
            return null;
        }

        var programs = Directory.EnumerateFiles(output, "*.runtimeconfig.json", new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = 2 })
            .Select(static file => file[..^".runtimeconfig.json".Length] + ".dll")
            .Where(File.Exists)
            .OrderByDescending(File.GetLastWriteTimeUtc)
            .ToArray();
        return Array.Find(programs, program => Path.GetFileNameWithoutExtension(program) == name)
            ?? (programs.Select(Path.GetFileName).Distinct().Count() == 1 ? programs[0] : null);
    }

    [GeneratedRegex("""(?:"[^"]*"|[^\s"])+""")]
    private static partial Regex Words();
}
