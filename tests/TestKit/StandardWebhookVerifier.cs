using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace RuleEngineNats.TestKit;

/// <summary>Checks signatures by the text of Standard Webhooks 1.0.0, independently of the product's own code.</summary>
public static class StandardWebhookVerifier
{
    private const string Prefix = "whsec_";
    private const string Version = "v1,";

    /// <summary>How far a timestamp may be from now.</summary>
    public static readonly TimeSpan Tolerance = TimeSpan.FromMinutes(5);

    public static bool Verify(string secret, ReceivedRequest request)
        => request.Headers["webhook-signature"].Split(' ').Contains(Sign(Key(secret), request.Headers["webhook-id"], request.Headers["webhook-timestamp"], request.Body));

    /// <summary>Everything a receiver has to check; while a secret is changed there are two of them.</summary>
    public static SignatureVerdict Check(IReadOnlyCollection<string> secrets, IReadOnlyDictionary<string, string> headers, byte[] body, DateTimeOffset now)
    {
        if (secrets.Count == 0)
        {
            return SignatureVerdict.NotChecked;
        }

        if (Header("webhook-id") is not { } id || Header("webhook-timestamp") is not { } timestamp || Header("webhook-signature") is not { } signatures)
        {
            return SignatureVerdict.HeadersMissing;
        }

        if (!long.TryParse(timestamp, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds))
        {
            return SignatureVerdict.TimestampInvalid;
        }

        // In floating point: a timestamp may be any number.
        var age = now.ToUnixTimeSeconds() - (double)seconds;
        if (Math.Abs(age) > Tolerance.TotalSeconds)
        {
            return age > 0 ? SignatureVerdict.TooOld : SignatureVerdict.TooNew;
        }

        var known = signatures.Split(' ').Where(signature => signature.StartsWith(Version, StringComparison.Ordinal)).Select(Encoding.UTF8.GetBytes).ToArray();
        if (known.Length == 0)
        {
            return SignatureVerdict.NoKnownVersion;
        }

        var expected = secrets.Select(secret => Encoding.UTF8.GetBytes(Sign(Key(secret), id, timestamp, body))).ToArray();
        return known.Any(signature => expected.Any(one => CryptographicOperations.FixedTimeEquals(one, signature))) ? SignatureVerdict.Verified : SignatureVerdict.Mismatch;

        string? Header(string name) => headers.GetValueOrDefault(name) is { Length: > 0 } value ? value : null;
    }

    /// <exception cref="FormatException">It is not base64.</exception>
    public static byte[] Key(string secret)
        => Convert.FromBase64String(secret.StartsWith(Prefix, StringComparison.Ordinal) ? secret[Prefix.Length..] : secret);

    private static string Sign(byte[] key, string id, string timestamp, byte[] body)
        => Version + Convert.ToBase64String(HMACSHA256.HashData(key, (byte[])[.. Encoding.UTF8.GetBytes($"{id}.{timestamp}."), .. body]));
}
