using System.Security.Cryptography;
using System.Text;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.DeliveryWorker.Signing;

/// <summary>What a signing secret stands for, until when.</summary>
internal sealed class SigningKey
{
    private const string Prefix = "whsec_";

    private readonly Ed25519Key? _ed25519;

    private SigningKey(string text, byte[] bytes, Ed25519Key? ed25519, DateTimeOffset? expiresAt)
        => (Text, Bytes, _ed25519, ExpiresAt) = (text, bytes, ed25519, expiresAt);

    /// <summary>The bytes of a symmetric key by Standard Webhooks; none for ed25519.</summary>
    public byte[] Bytes { get; }

    /// <summary>The UTF-8 bytes of the whole secret: what GitHub's and Stripe's libraries take for the key.</summary>
    public byte[] TextBytes => Encoding.UTF8.GetBytes(Text);

    public bool IsSymmetric => _ed25519 is null;

    /// <summary>When a rotated secret ends.</summary>
    public DateTimeOffset? ExpiresAt { get; }

    private string Text { get; }

    /// <summary>
    /// Standard Webhooks secrets are <c>whsec_</c> and base64, and the prefix may be left out, or <c>whsk_</c> and an ed25519 key. Any other text, which SQL lets a
    /// user store, is taken as its UTF-8 bytes: both sides then share at least the same key.
    /// </summary>
    public static SigningKey Parse(string secret, DateTimeOffset? expiresAt = null)
    {
        if (secret.StartsWith(Ed25519Key.PrivatePrefix, StringComparison.Ordinal))
        {
            return new(secret, [], Ed25519Key.TryParse(secret) ?? throw new FormatException("not an ed25519 key"), expiresAt);
        }

        var text = secret.StartsWith(Prefix, StringComparison.Ordinal) ? secret[Prefix.Length..] : secret;
        var key = new byte[text.Length];
        var bytes = Convert.TryFromBase64String(text, key, out var length) && length > 0 ? key[..length] : Encoding.UTF8.GetBytes(secret);
        return new(secret, bytes, null, expiresAt);
    }

    /// <summary>Why a secret cannot sign, or null. What is public must not be used as a secret.</summary>
    public static string? FindProblem(string secret)
        => secret.StartsWith(Ed25519Key.PublicPrefix, StringComparison.Ordinal) ? "is a public key (whpk_), which cannot sign"
            : secret.StartsWith(Ed25519Key.PrivatePrefix, StringComparison.Ordinal) && Ed25519Key.TryParse(secret) is null
                ? "is not whsk_ and the base64 of an ed25519 key (32 bytes, or 64 with the public key that belongs to them)"
                : null;

    public bool IsValidAt(DateTimeOffset moment) => !(ExpiresAt <= moment);

    /// <summary>One signature as <c>webhook-signature</c> has it, over the first bytes of a buffer.</summary>
    public string Sign(byte[] buffer, int length)
        => _ed25519 is { } key
            ? "v1a," + Convert.ToBase64String(key.Sign(buffer, length))
            : "v1," + Convert.ToBase64String(HMACSHA256.HashData(Bytes, buffer.AsSpan(0, length)));

    public override string ToString() => nameof(SigningKey);
}
