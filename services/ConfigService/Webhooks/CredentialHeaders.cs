using System.Text.Json;

namespace RuleEngineNats.ConfigService.Webhooks;

/// <summary>Decides which headers of an endpoint are credentials; their values leave the database only towards the endpoint.</summary>
internal static class CredentialHeaders
{
    /// <summary>What is shown instead of a value. It is refused as a value, so that a client that sends back what it read overwrites nothing.</summary>
    public const string Redacted = "***";

    private static readonly string[] Parts = ["auth", "cookie", "token", "key", "secret", "password", "passwd", "credential", "signature", "session"];

    public static bool IsCredential(string name) => Array.Exists(Parts, part => name.Contains(part, StringComparison.OrdinalIgnoreCase));

    public static string Redact(string name, JsonElement value)
        => IsCredential(name) ? Redacted : value.ValueKind == JsonValueKind.String ? value.GetString()! : value.GetRawText();
}
