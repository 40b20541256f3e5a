using System.Security.Cryptography;
using System.Text;

namespace RuleEngineNats.Contracts;

/// <summary>
/// What a message id may be: 1 to <see cref="MaxLength"/> characters without spaces and control characters, visible or not.
/// An empty one would switch the server's deduplication off silently. The SQL function <c>rule_nats_message_id_check</c> refuses the same.
/// </summary>
public static class MessageIdRules
{
    /// <summary>Longest message id in characters (Unicode code points).</summary>
    public const int MaxLength = 128;

    /// <summary>Checks a message id.</summary>
    /// <returns>Null when it is fine.</returns>
    public static MessageIdProblem? Check(string? messageId)
    {
        if (string.IsNullOrEmpty(messageId))
        {
            return new MessageIdProblem("empty", 0);
        }

        var position = 0;
        var length = 0;
        foreach (var rune in messageId.EnumerateRunes())
        {
            if (length++ == MaxLength)
            {
                return new MessageIdProblem("longer than 128 characters", position);
            }

            // A lone surrogate is enumerated as U+FFFD and cannot be told from a genuine one; neither identifies anything.
            if (Rune.IsControl(rune) || Rune.IsWhiteSpace(rune) || rune.Value is 0xFFFD or (>= 0x2000 and <= 0x200f) or (>= 0x2028 and <= 0x202f))
            {
                return new MessageIdProblem("space or control character", position);
            }

            position += rune.Utf8SequenceLength;
        }

        return null;
    }
}

/// <summary>Why a message id is refused, and where.</summary>
/// <param name="Reason">What is wrong.</param>
/// <param name="Byte">Offset of the offending byte in UTF-8; the first byte is 0.</param>
public sealed record MessageIdProblem(string Reason, int Byte)
{
    /// <summary>The message every edge shows.</summary>
    public override string ToString() => $"message_id: {Reason} at byte {Byte}";
}

/// <summary>
/// Composes <see cref="EventHeaders.MessageId"/> out of a publisher's message id. JetStream deduplicates per stream, so the plain id would drop the
/// event of a second webhook that uses the same message id. The result has at most 128 ASCII characters and no dot, so that it can be the
/// <c>webhook-id</c> of the delivery as well (Standard Webhooks signs <c>id.timestamp.body</c>). The SQL function <c>rule_nats_msg_id</c> composes the same.
/// </summary>
public static class NatsMessageId
{
    private const int MaxPlainLength = 116;

    /// <summary>The id of an event published through a webhook: <c>5_order-17</c>, or <c>5:</c> and the SHA-256 of the message id when it cannot stand as it is.</summary>
    public static string For(int webhookId, string messageId)
        => IsPlain(messageId)
            ? $"{webhookId}_{messageId}"
            : $"{webhookId}:{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(messageId)))}";

    /// <summary>The id of an event published to a subject directly; all such publishes into one stream share the namespace of webhook 0.</summary>
    public static string ForSubject(string messageId) => For(0, messageId);

    private static bool IsPlain(string messageId)
        => messageId.Length is > 0 and <= MaxPlainLength
            && messageId.AsSpan().IndexOfAnyExceptInRange('!', '~') < 0
            && !messageId.Contains('.', StringComparison.Ordinal);
}
