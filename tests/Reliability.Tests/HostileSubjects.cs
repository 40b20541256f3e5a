using Xunit;

namespace RuleEngineNats.Reliability.Tests;

/// <summary>Subjects nobody may publish to (reliability.md, section 4), and what every edge says about each.</summary>
internal static class HostileSubjects
{
    public static TheoryData<string, string> All => new()
    {
        { "", "subject: empty at byte 0" },
        { "webhooks.a b", "subject: whitespace at byte 10" },
        { " webhooks.a", "subject: whitespace at byte 0" },
        { "webhooks.a\r\nPUB x 0", "subject: control character at byte 10" },
        { "webhooks.a\nb", "subject: control character at byte 10" },
        { "webhooks.\ta", "subject: control character at byte 9" },
        { "webhooks.a\u0001b", "subject: control character at byte 10" },
        { "webhooks.a\u007f", "subject: control character at byte 10" },
        { "webhooks..a", "subject: empty token at byte 9" },
        { ".webhooks.a", "subject: empty token at byte 0" },
        { "webhooks.a.", "subject: empty token at byte 11" },
        { ".", "subject: empty token at byte 0" },
        { "webhooks.*", "subject: wildcard at byte 9" },
        { "webhooks.>", "subject: wildcard at byte 9" },
        { "webhooks.a*b", "subject: wildcard at byte 10" },
        { ">", "subject: wildcard at byte 0" },
        { "$JS.API.STREAM.PURGE.WEBHOOKS", "subject: reserved at byte 0" },
        { "$SYS.REQ.SERVER.PING", "subject: reserved at byte 0" },
        { "_INBOX.x", "subject: reserved at byte 0" },
        { "webhooks.$a", "subject: character not in [A-Za-z0-9_-] at byte 9" },
        { "webhooks.\u202Egnp", "subject: character not in [A-Za-z0-9_-] at byte 9" },
        { "webhooks.grün", "subject: character not in [A-Za-z0-9_-] at byte 11" },
        { "webhooks.a'; DROP TABLE rule_webhooks; --", "subject: character not in [A-Za-z0-9_-] at byte 10" },
        { "webhooks." + new string('a', 247), "subject: longer than 255 bytes at byte 255" },
        { new string('a', 5_000), "subject: longer than 255 bytes at byte 255" },
        { string.Join('.', Enumerable.Repeat("a", 17)), "subject: more than 16 tokens at byte 32" },
    };
}
