using RuleEngineNats.Messaging;
using RuleEngineNats.Problems;

namespace RuleEngineNats.ConfigService.Webhooks;

/// <summary>
/// What the URL of an endpoint may be: what rule_webhook_url_check takes, only what is a URL at all, and what the delivery worker would send to as far as the text
/// tells. Where a name leads to is decided when it connects, since it may be another address by then.
/// </summary>
internal static class UrlRules
{
    public const int MaxLength = 2048;

    private const string Code = "url_not_allowed";

    public static void Check(string field, string? url, EgressOptions egress, FieldProblems problems)
    {
        if (url is null)
        {
            return;
        }

        if (!url.StartsWith("http://", StringComparison.Ordinal) && !url.StartsWith("https://", StringComparison.Ordinal))
        {
            problems.Add(Code, field, "Invalid URL format. Must start with http:// or https://", "Begin with https://.");
        }
        else if (url.EnumerateRunes().Count() > MaxLength)
        {
            problems.Add(Code, field, "url_not_allowed: longer than 2048 characters", "Shorten it.", MaxLength);
        }
        else if (url.Any(character => char.IsControl(character) || char.IsWhiteSpace(character) || character == '\\'))
        {
            problems.Add(Code, field, "url_not_allowed: whitespace, control character or backslash", "Percent-encode them.");
        }
        else if (Authority(url).Contains('@', StringComparison.Ordinal))
        {
            problems.Add(Code, field, "url_not_allowed: user information in the URL", "Put credentials into an Authorization header.");
        }
        else if (Authority(url) is "" or [':', ..])
        {
            problems.Add(Code, field, "url_not_allowed: no host", "Name the host.");
        }
        else if (!Uri.TryCreate(url, UriKind.Absolute, out var parsed) || parsed.Port is < 1 or > 65535)
        {
            problems.Add(Code, field, "url_not_allowed: host or port is not valid", "Correct it; ports are 1 to 65535.");
        }
        else if (TargetUrl.Check(url, egress).Problem is { } problem)
        {
            problems.Add(Code, field, problem, $"Deliveries may not go there: see {EgressOptions.Section} in the configuration of the services.");
        }
    }

    private static string Authority(string url)
    {
        var rest = url[(url.IndexOf("://", StringComparison.Ordinal) + 3)..];
        var end = rest.AsSpan().IndexOfAny("/?#");
        return end < 0 ? rest : rest[..end];
    }
}
