using System.Text.RegularExpressions;

namespace RuleEngineNats.Messaging;

/// <summary>URLs of NATS servers as people may see them.</summary>
public static partial class NatsUrls
{
    /// <summary>Takes user information out of every URL in a text, as <c>rule_nats_redact_url</c> does.</summary>
    public static string Redact(string text) => UserInformation().Replace(text, "://***@");

    [GeneratedRegex("://[^/@\\s]*@")]
    private static partial Regex UserInformation();
}
