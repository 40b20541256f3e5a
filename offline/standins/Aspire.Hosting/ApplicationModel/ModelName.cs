namespace Aspire.Hosting.ApplicationModel;

public interface IModelNameParameter;

[AttributeUsage(AttributeTargets.Parameter, AllowMultiple = false)]
public sealed class ResourceNameAttribute : Attribute, IModelNameParameter;

[AttributeUsage(AttributeTargets.Parameter, AllowMultiple = false)]
public sealed class EndpointNameAttribute : Attribute, IModelNameParameter;

internal static class ModelName
{
    private const int MaxLength = 64;

    /// <summary>Names become parts of host names and environment variables, so they are kept to what both allow.</summary>
    public static void Validate(string what, string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        var problem = name switch
        {
            { Length: > MaxLength } => $"Name must be between 1 and {MaxLength} characters long.",
            _ when name.Any(static c => !char.IsAsciiLetterOrDigit(c) && c != '-') =>
                "Name must contain only ASCII letters, digits, and hyphens.",
            _ when name.Contains("--", StringComparison.Ordinal) => "Name cannot contain consecutive hyphens.",
            _ when !char.IsAsciiLetter(name[0]) => "Name must start with an ASCII letter.",
            _ when name.EndsWith('-') => "Name cannot end with a hyphen.",
            _ => null,
        };
        if (problem is not null)
        {
            throw new ArgumentException($"{what} name '{name}' is invalid. {problem}", nameof(name));
        }
    }
}
