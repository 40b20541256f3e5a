using System.Security.Cryptography;

namespace Aspire.Hosting.ApplicationModel;

/// <summary>A value from configuration (<c>Parameters:name</c>), or its default.</summary>
public class ParameterResource : Resource, IExpressionValue
{
    private readonly Lazy<string> _value;

    public ParameterResource(string name, Func<ParameterDefault?, string> callback, bool secret = false)
        : base(name)
    {
        _value = new Lazy<string>(() => callback(Default));
        Secret = secret;
    }

    public ParameterDefault? Default { get; set; }

    public string? Description { get; set; }

    public bool EnableDescriptionMarkdown { get; set; }

    public bool Secret { get; }

    public bool IsConnectionString { get; set; }

    public string ValueExpression => IsConnectionString ? $"{{{Name}.connectionString}}" : $"{{{Name}.value}}";

    public ValueTask<string?> GetValueAsync(CancellationToken cancellationToken) => ValueTask.FromResult<string?>(_value.Value);

    public ValueTask<string?> GetValueAsync(ValueProviderContext _, CancellationToken cancellationToken) => GetValueAsync(cancellationToken);
}

public abstract class ParameterDefault
{
    public abstract string GetDefaultValue();
}

/// <summary>A random value; with the default alphabet 22 characters carry more than 128 bits.</summary>
public sealed class GenerateParameterDefault : ParameterDefault
{
    // Left out: characters that look alike, and those that mean something in URLs, shells or connection strings.
    private const string LowerCase = "abcdefghjkmnpqrstuvwxyz";
    private const string UpperCase = "ABCDEFGHJKMNPQRSTUVWXYZ";
    private const string Digits = "0123456789";
    private const string Specials = "-_.{}~()*+!";

    public int MinLength { get; set; } = 22;

    public bool Lower { get; set; } = true;

    public bool Upper { get; set; } = true;

    public bool Numeric { get; set; } = true;

    public bool Special { get; set; } = true;

    public int MinLower { get; set; }

    public int MinUpper { get; set; }

    public int MinNumeric { get; set; }

    public int MinSpecial { get; set; }

    public override string GetDefaultValue()
    {
        (bool Allowed, int Least, string Characters)[] classes =
        [
            (Lower, MinLower, LowerCase),
            (Upper, MinUpper, UpperCase),
            (Numeric, MinNumeric, Digits),
            (Special, MinSpecial, Specials),
        ];
        if (classes.Any(static c => c.Least < 0 || (!c.Allowed && c.Least > 0)))
        {
            throw new ArgumentException("A minimum number of characters needs its kind of character to be allowed.");
        }

        var value = string.Concat(classes.Select(static c => RandomNumberGenerator.GetString(c.Characters, c.Least)));
        var alphabet = string.Concat(classes.Where(static c => c.Allowed).Select(static c => c.Characters));
        var characters = (value + RandomNumberGenerator.GetString(alphabet, Math.Max(0, MinLength - value.Length))).ToCharArray();
        RandomNumberGenerator.Shuffle<char>(characters);
        return new string(characters);
    }
}

internal sealed class FixedParameterDefault(Func<string> value) : ParameterDefault
{
    public override string GetDefaultValue() => value();
}

/// <summary>Remembers a generated value in the AppHost's user secrets, so that a data volume can be opened again.</summary>
internal sealed class PersistedParameterDefault(string parameter, ParameterDefault inner, UserSecrets secrets) : ParameterDefault
{
    public override string GetDefaultValue()
    {
        var value = inner.GetDefaultValue();
        secrets.TrySet($"Parameters:{parameter}", value);
        return value;
    }
}
