using System.Globalization;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.DeliveryWorker.Signing;

/// <summary>
/// The headers that let a receiver check who sends and what, by the endpoint's profile. Id and timestamp go with each.
/// <code>
/// standard  webhook-signature: v1,… v1a,…   every key; none without a key
/// github    X-Hub-Signature-256: sha256=…   the newest symmetric key
/// stripe    Stripe-Signature: t=…,v1=…      every symmetric key
/// none
/// </code>
/// </summary>
internal static class SignRequest
{
    public const string Standard = "standard";
    public const string GitHub = "github";
    public const string Stripe = "stripe";
    public const string None = "none";

    /// <summary>Why a request cannot be signed as the endpoint wants it, or null. Sending it without would be worse than not sending.</summary>
    public static string? FindProblem(Endpoint endpoint, DateTimeOffset moment) => endpoint.SignatureProfile switch
    {
        None => null,
        _ when endpoint.SecretProblem is { } problem => problem,
        Standard => null,
        var profile => KeysAt(endpoint, moment).Count > 0 ? null : $"signature_profile {profile} needs a secret named signing that is not an ed25519 key",
    };

    /// <param name="body">The bytes that are sent.</param>
    public static void Add(HttpRequestMessage request, Endpoint endpoint, string id, DateTimeOffset moment, ReadOnlySpan<byte> body)
    {
        var timestamp = moment.ToUnixTimeSeconds();
        request.Headers.TryAddWithoutValidation(WebhookHeaders.Id, id);
        request.Headers.TryAddWithoutValidation(WebhookHeaders.Timestamp, timestamp.ToString(CultureInfo.InvariantCulture));
        if (endpoint.SignatureProfile == None || KeysAt(endpoint, moment) is not { Count: > 0 } keys)
        {
            return;
        }

        var (name, value) = endpoint.SignatureProfile switch
        {
            GitHub => (WebhookHeaders.GitHubSignature, WebhookSignature.GitHub(body, keys)),
            Stripe => (WebhookHeaders.StripeSignature, WebhookSignature.Stripe(timestamp, body, keys)),
            _ => (WebhookHeaders.Signature, WebhookSignature.Compute(id, timestamp, body, keys)),
        };

        // Whatever the endpoint or the event has under this name, it is not the signature.
        request.Headers.Remove(name);
        request.Headers.TryAddWithoutValidation(name, value);
    }

    // At each request: no change of the configuration tells that the time of a rotated secret is over.
    private static IReadOnlyList<SigningKey> KeysAt(Endpoint endpoint, DateTimeOffset moment)
    {
        var anyKind = endpoint.SignatureProfile == Standard;
        return endpoint.SigningKeys.All(key => key.IsValidAt(moment) && (anyKind || key.IsSymmetric))
            ? endpoint.SigningKeys
            : [.. endpoint.SigningKeys.Where(key => key.IsValidAt(moment) && (anyKind || key.IsSymmetric))];
    }
}
