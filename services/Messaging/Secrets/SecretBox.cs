using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;

namespace RuleEngineNats.Messaging;

/// <summary>Where a secret lies. It is part of what is authenticated, so that a ciphertext moved to another place is no secret there.</summary>
/// <param name="Name">How people know it.</param>
public readonly record struct SecretPlace(string Name)
{
    /// <summary>A row of <c>rule_webhook_secrets</c>.</summary>
    public static SecretPlace OfWebhook(int webhookId, string secretName) => new(string.Create(CultureInfo.InvariantCulture, $"secret {secretName} of webhook {webhookId}"));

    /// <summary>A column of <c>rule_nats_config</c>.</summary>
    public static SecretPlace OfConfig(int configId, string column) => new(string.Create(CultureInfo.InvariantCulture, $"{column} of NATS configuration {configId}"));
}

/// <summary>
/// Encrypts and decrypts secrets with AES-256-GCM. Format: base64 of nonce (12 bytes), ciphertext and tag (16 bytes); the associated data are the name of
/// the key and the <see cref="SecretPlace"/>.
/// </summary>
public sealed class SecretBox
{
    private const int NonceBytes = 12;
    private const int TagBytes = 16;

    private readonly Dictionary<string, byte[]> _keys;

    /// <summary>Made by the container.</summary>
    public SecretBox(IOptions<SecretsOptions> options)
    {
        _keys = options.Value.Keys.ToDictionary(key => key.Key, key => SecretsOptionsRules.Decode(key.Value)!, StringComparer.Ordinal);
        ActiveKey = string.IsNullOrEmpty(options.Value.ActiveKey) ? null : options.Value.ActiveKey;
    }

    /// <summary>Name of the key that is encrypted under; null when nothing is.</summary>
    public string? ActiveKey { get; }

    /// <summary>Encrypts under <see cref="ActiveKey"/>.</summary>
    public string Encrypt(SecretPlace place, string plain)
    {
        var keyId = ActiveKey ?? throw new InvalidOperationException("There is no active key");
        var text = Encoding.UTF8.GetBytes(plain);
        var box = new byte[NonceBytes + text.Length + TagBytes];
        RandomNumberGenerator.Fill(box.AsSpan(0, NonceBytes));
        using var aes = new AesGcm(_keys[keyId], TagBytes);
        aes.Encrypt(box.AsSpan(0, NonceBytes), text, box.AsSpan(NonceBytes, text.Length), box.AsSpan(^TagBytes..), AssociatedData(place, keyId));
        return Convert.ToBase64String(box);
    }

    /// <summary>Decrypts what is stored; plain text (without a key) is returned as it is.</summary>
    /// <returns>The secret, or why it cannot be read, which names key and place and nothing else.</returns>
    public (string? Plain, string? Problem) Decrypt(SecretPlace place, string? keyId, string stored)
    {
        if (keyId is null)
        {
            return (stored, null);
        }

        if (!_keys.TryGetValue(keyId, out var key))
        {
            return (null, $"{place.Name} is encrypted under key {keyId}, which is not in {SecretsOptions.Section}:Keys of this service");
        }

        try
        {
            var box = Convert.FromBase64String(stored);
            if (box.Length >= NonceBytes + TagBytes)
            {
                var text = new byte[box.Length - NonceBytes - TagBytes];
                using var aes = new AesGcm(key, TagBytes);
                aes.Decrypt(box.AsSpan(0, NonceBytes), box.AsSpan(NonceBytes, text.Length), box.AsSpan(^TagBytes..), text, AssociatedData(place, keyId));
                return (Encoding.UTF8.GetString(text), null);
            }
        }
        catch (Exception exception) when (exception is CryptographicException or FormatException)
        {
            // Falls through: what is wrong with it is not for an answer.
        }

        return (null, $"{place.Name} cannot be decrypted with key {keyId}: this service has another key of that name, or the row was altered");
    }

    private static byte[] AssociatedData(SecretPlace place, string keyId) => Encoding.UTF8.GetBytes($"{keyId}\n{place.Name}");
}
