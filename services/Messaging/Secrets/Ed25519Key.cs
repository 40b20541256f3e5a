using System.Security.Cryptography;
using Org.BouncyCastle.Math.EC.Rfc8032;

namespace RuleEngineNats.Messaging;

/// <summary>
/// An ed25519 key of Standard Webhooks 1.0.0. The secret is <c>whsk_</c> and the base64 of 64 bytes, the seed and the public key after it, or of the 32 bytes of the seed
/// alone; receivers verify with <c>whpk_</c> and the base64 of the public key.
/// </summary>
public sealed class Ed25519Key
{
    /// <summary>How a private key begins.</summary>
    public const string PrivatePrefix = "whsk_";

    /// <summary>How a public key begins.</summary>
    public const string PublicPrefix = "whpk_";

    private const int SeedBytes = 32;
    private const int PublicBytes = 32;
    private const int SignatureBytes = 64;

    private readonly byte[] _seed;
    private readonly byte[] _public = new byte[PublicBytes];

    private Ed25519Key(byte[] seed)
    {
        _seed = seed;
        Ed25519.GeneratePublicKey(_seed, 0, _public, 0);
    }

    /// <summary>The key for receivers, <c>whpk_…</c>, which is no secret.</summary>
    public string PublicKey => PublicPrefix + Convert.ToBase64String(_public);

    /// <summary>Makes a new private key, <c>whsk_…</c>.</summary>
    public static string MakePrivate()
    {
        var key = new Ed25519Key(RandomNumberGenerator.GetBytes(SeedBytes));
        return PrivatePrefix + Convert.ToBase64String([.. key._seed, .. key._public]);
    }

    /// <summary>Reads a private key.</summary>
    /// <returns>Null when it has another form, or when its public half belongs to another seed: signing with such a pair gives the seed away.</returns>
    public static Ed25519Key? TryParse(string secret)
    {
        if (!secret.StartsWith(PrivatePrefix, StringComparison.Ordinal) || secret.Length > 128 || secret.Any(char.IsWhiteSpace))
        {
            return null;
        }

        var bytes = new byte[secret.Length];
        if (!Convert.TryFromBase64String(secret[PrivatePrefix.Length..], bytes, out var length)
            || length is not (SeedBytes or SeedBytes + PublicBytes))
        {
            return null;
        }

        var key = new Ed25519Key(bytes[..SeedBytes]);
        return length == SeedBytes || key._public.AsSpan().SequenceEqual(bytes.AsSpan(SeedBytes, PublicBytes)) ? key : null;
    }

    /// <summary>Signs the first bytes of a buffer.</summary>
    public byte[] Sign(byte[] buffer, int length)
    {
        var signature = new byte[SignatureBytes];
        Ed25519.Sign(_seed, 0, _public, 0, buffer, 0, length, signature, 0);
        return signature;
    }

    /// <summary>Keeps the secret out of logs.</summary>
    public override string ToString() => PublicKey;
}
