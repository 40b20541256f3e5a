using System.Text;

namespace RuleEngineNats.Messaging;

/// <summary>The headers of a message that a stream shows (<c>STREAM.MSG.GET</c>).</summary>
public static class StoredHeaders
{
    /// <summary>The value of a header; null where the message has none of that name.</summary>
    /// <param name="hdrs">The headers as the server shows them: <c>NATS/1.0</c> and a line for each, in Base64. Null for none.</param>
    /// <param name="name">The header.</param>
    public static string? Find(string? hdrs, string name)
        => Array.Find(Encoding.UTF8.GetString(Convert.FromBase64String(hdrs ?? "")).Split("\r\n"), line => line.StartsWith($"{name}:", StringComparison.Ordinal))?[(name.Length + 1)..].Trim();
}
