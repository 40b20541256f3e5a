using RuleEngineNats.Problems;

namespace RuleEngineNats.ConfigService.Problems;

/// <summary>What is said about a name or an id that nothing has.</summary>
internal static class NoSuch
{
    public static Problem Webhook(string identifier) => Problem.NotFound(
        "webhook_not_found", $"There is no webhook with the id or name {Shown(identifier)}.", "GET /api/v1/webhooks lists them.");

    public static Problem Connection(string name) => Problem.NotFound(
        "connection_not_found", $"There is no connection {Shown(name)}.", "GET /api/v1/connections lists them.");

    private static string Shown(string text) => $"\"{(text.Length > 64 ? text[..64] + "…" : text)}\"";
}
