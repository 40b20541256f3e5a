using RuleEngineNats.Problems;

namespace RuleEngineNats.ConfigService.Connections;

/// <summary>What the URL of a NATS server may be. Stricter than rule_nats_configure in one point: user information belongs into the services' configuration, not into a table.</summary>
internal static class NatsUrlRules
{
    private const int MaxLength = 2048;
    private const string Code = "url_not_allowed";

    public static void Check(string field, string? url, FieldProblems problems)
    {
        if (url is null)
        {
            return;
        }

        if (string.IsNullOrWhiteSpace(url))
        {
            problems.Add(Code, field, "NATS URL cannot be empty", "Give nats://host:4222.");
        }
        else if (!url.StartsWith("nats://", StringComparison.Ordinal) && !url.StartsWith("tls://", StringComparison.Ordinal))
        {
            problems.Add(Code, field, "NATS URL must start with nats:// or tls://", "Give nats://host:4222.");
        }
        else if (url.Length > MaxLength)
        {
            problems.Add(Code, field, "url_not_allowed: longer than 2048 characters", "Shorten it.", MaxLength);
        }
        else if (url.Any(character => char.IsControl(character) || char.IsWhiteSpace(character) || character is '\\' or ','))
        {
            problems.Add(Code, field, "url_not_allowed: whitespace, control character, comma or backslash", "Name one server; further ones are clusterUrls.");
        }
        else if (url.Contains('@', StringComparison.Ordinal))
        {
            problems.Add(Code, field, "url_not_allowed: user information in the URL", "Put credentials into the services' configuration: Messaging:Credentials.");
        }
        else if (!Uri.TryCreate(url, UriKind.Absolute, out var parsed) || parsed.Host.Length == 0 || parsed.Port is 0)
        {
            problems.Add(Code, field, "url_not_allowed: host or port is not valid", "Give nats://host:4222.");
        }
    }
}
