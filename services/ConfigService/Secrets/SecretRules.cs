using System.Buffers.Text;
using System.Security.Cryptography;
using RuleEngineNats.Messaging;
using RuleEngineNats.Problems;

namespace RuleEngineNats.ConfigService.Secrets;

/// <summary>What a secret may be, as rule_webhook_secret_set has it, and how a signing secret is made.</summary>
internal static class SecretRules
{
    /// <summary>Name of the secret deliveries are signed with.</summary>
    public const string Signing = "signing";

    /// <summary>Name of the one before it, until its time is over; the delivery worker signs with every secret whose name begins with signing.</summary>
    public const string PreviousSigning = "signing-previous";

    /// <summary>Name of the credentials of auth_type, which never sign.</summary>
    public const string Auth = "auth";

    private const string Prefix = "whsec_";
    private const int SecretBytes = 32;

    public static string MakeSigning() => Prefix + Convert.ToBase64String(RandomNumberGenerator.GetBytes(SecretBytes));

    public static void CheckName(string name, FieldProblems problems)
    {
        if (name.Length is 0 or > 128 || name.Any(character => char.IsWhiteSpace(character) || char.IsControl(character)))
        {
            problems.Add("invalid_value", "name", "must have 1 to 128 characters and no space", "Choose another name.", 128);
        }
    }

    public static void CheckValue(string field, string? value, FieldProblems problems)
    {
        if (value is not null && (value.Length is 0 or > 8192 || value.Contains('\0', StringComparison.Ordinal)))
        {
            problems.Add("invalid_value", field, "must have 1 to 8192 characters", "Give another value.", 8192);
        }
    }

    public static void CheckSigning(string field, string? value, FieldProblems problems)
    {
        if (value is not null && !IsSigning(value))
        {
            problems.Add("invalid_secret", field, "A signing secret is whsec_ and the base64 of 24 to 64 bytes, or whsk_ and the base64 of an ed25519 key of 32 or 64 bytes", "Make one, or have one made: POST …/secrets/signing/rotate.");
        }
    }

    // Base64.IsValid passes over white space, which has no place in a secret.
    private static bool IsSigning(string value)
        => Ed25519Key.TryParse(value) is not null || (value.StartsWith(Prefix, StringComparison.Ordinal) && value.Length <= 128 && !value.Any(char.IsWhiteSpace)
            && Base64.IsValid(value.AsSpan(Prefix.Length), out var bytes) && bytes is >= 24 and <= 64);
}
