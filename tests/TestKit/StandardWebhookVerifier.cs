using System.Security.Cryptography;
using System.Text;

namespace RuleEngineNats.TestKit;

/// <summary>Checks signatures by the text of Standard Webhooks 1.0.0, independently of the product's own code.</summary>
public static class StandardWebhookVerifier
{
    public static bool Verify(string secret, ReceivedRequest request)
    {
        const string Prefix = "whsec_";
        var key = Convert.FromBase64String(secret.StartsWith(Prefix, StringComparison.Ordinal) ? secret[Prefix.Length..] : secret);
        var signed = Encoding.UTF8.GetBytes($"{request.Headers["webhook-id"]}.{request.Headers["webhook-timestamp"]}.").Concat(request.Body).ToArray();
        var expected = "v1," + Convert.ToBase64String(HMACSHA256.HashData(key, signed));
        return request.Headers["webhook-signature"].Split(' ').Contains(expected);
    }
}
