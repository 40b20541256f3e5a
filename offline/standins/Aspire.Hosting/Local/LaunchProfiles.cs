using System.Text.Json;
using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Local;

/// <summary>The profile that a project was asked to start with.</summary>
internal sealed class LaunchProfileChoice(string? name, bool isExcluded, bool isRequired) : IResourceAnnotation
{
    public string? Name { get; } = name;

    public bool IsExcluded { get; } = isExcluded;

    public bool IsRequired { get; } = isRequired;
}

internal static class LaunchProfiles
{
    private static readonly JsonSerializerOptions Lenient = new() { ReadCommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true, PropertyNameCaseInsensitive = true };

    /// <summary>The profile asked for; else the AppHost's own by name, where the project has it; else the project's first.</summary>
    public static (string Name, LaunchProfile Profile)? Effective(IResource resource)
    {
        var choice = resource.Annotations.OfType<LaunchProfileChoice>().LastOrDefault();
        var project = resource.Annotations.OfType<IProjectMetadata>().Single();
        if (choice?.IsExcluded == true || (project.LaunchSettings ?? Read(Path.GetDirectoryName(project.ProjectPath)!)) is not { Profiles: var profiles })
        {
            return null;
        }

        if (choice?.Name is { } name)
        {
            if (profiles.TryGetValue(name, out var named))
            {
                return (name, named);
            }

            if (choice.IsRequired)
            {
                throw new DistributedApplicationException($"Launch settings file does not contain '{name}' profile.");
            }
        }

        var first = profiles.FirstOrDefault(static profile => profile.Value.CommandName is "Project" or null);
        return first.Value is null ? null : (first.Key, first.Value);
    }

    public static LaunchSettings? Read(string projectDirectory)
    {
        var file = Path.Combine(projectDirectory, "Properties", "launchSettings.json");
        if (!File.Exists(file))
        {
            return null;
        }

        try
        {
            return JsonSerializer.Deserialize<LaunchSettings>(File.ReadAllText(file), Lenient);
        }
        catch (JsonException exception)
        {
            throw new DistributedApplicationException($"Failed to get effective launch profile for '{projectDirectory}'. There is malformed JSON in the project's launch settings file at '{file}'.", exception);
        }
    }
}
