using System.Text.RegularExpressions;
using Microsoft.Extensions.Options;

namespace RuleEngineNats.Messaging;

/// <summary>
/// Keys that secrets in PostgreSQL are encrypted under; configuration section <c>Secrets</c>, the same for every service. Without any, secrets stay plain.
/// To change the key add a new one, make it active and restart the services; remove the old one when no row names it any more.
/// </summary>
public sealed class SecretsOptions
{
    /// <summary>Name of the configuration section.</summary>
    public const string Section = "Secrets";

    /// <summary>Name of the key that ConfigService encrypts under. Default null: nothing is encrypted.</summary>
    public string? ActiveKey { get; set; }

    /// <summary>Keys by name: the base64 of 32 bytes. All of them decrypt.</summary>
    public Dictionary<string, string> Keys { get; } = new(StringComparer.Ordinal);
}

/// <summary>What keys may be.</summary>
internal sealed partial class SecretsOptionsRules : IValidateOptions<SecretsOptions>
{
    public const int KeyBytes = 32;

    public ValidateOptionsResult Validate(string? name, SecretsOptions options)
    {
        var failures = new List<string>();
        foreach (var (id, key) in options.Keys)
        {
            if (!Id().IsMatch(id))
            {
                failures.Add($"{SecretsOptions.Section}:Keys:{id}: the name must have 1 to 64 characters of [A-Za-z0-9_-]");
            }

            // Never the key itself.
            if (Decode(key) is null)
            {
                failures.Add($"{SecretsOptions.Section}:Keys:{id}: must be the base64 of {KeyBytes} bytes, as `openssl rand -base64 {KeyBytes}` makes it");
            }
        }

        if (!string.IsNullOrEmpty(options.ActiveKey) && !options.Keys.ContainsKey(options.ActiveKey))
        {
            failures.Add($"{SecretsOptions.Section}:ActiveKey: there is no key {options.ActiveKey} in {SecretsOptions.Section}:Keys");
        }

        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);
    }

    public static byte[]? Decode(string key)
    {
        var bytes = new byte[KeyBytes + 1];
        return Convert.TryFromBase64String(key, bytes, out var length) && length == KeyBytes ? bytes[..KeyBytes] : null;
    }

    [GeneratedRegex(@"\A[A-Za-z0-9_-]{1,64}\z")]
    private static partial Regex Id();
}
