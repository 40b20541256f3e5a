using System.Text;
using System.Text.Json;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.DeliveryWorker.Authorization;

/// <summary>
/// How requests to an endpoint are authorized: its <c>auth_type</c> and what its secret <c>auth</c> comes to.
/// <code>
/// basic   user:password
/// bearer  the token
/// oauth2  {"token_url": "https://…", "client_id": "…", "client_secret": "…", "scope": "…", "audience": "…"}   the last two may be left out
/// mtls    the certificate, further ones of its chain, and the key without a passphrase, all PEM
/// </code>
/// </summary>
internal sealed class EndpointAuthorization
{
    /// <summary>Name of the secret; it never signs.</summary>
    public const string SecretName = "auth";

    private EndpointAuthorization()
    {
    }

    public static EndpointAuthorization None { get; } = new();

    /// <summary>The value of <c>Authorization</c>, where it is known beforehand.</summary>
    public string? Header { get; private init; }

    public ClientCredentials? OAuth { get; private init; }

    /// <summary>Certificates and key.</summary>
    public string? Pem { get; private init; }

    public DateTimeOffset? ExpiresAt { get; private init; }

    /// <summary>Why nothing can be sent, which never repeats a value, or null.</summary>
    public string? Problem { get; private init; }

    public static EndpointAuthorization Of(WebhookDefinition webhook, EgressOptions egress)
    {
        var type = webhook.Delivery.AuthType;
        if (type == "none")
        {
            return None;
        }

        if (webhook.Secrets.FirstOrDefault(secret => secret.Name == SecretName) is not { } secret)
        {
            return Refused($"auth_type {type} needs the secret {SecretName}, which webhook {webhook.Id} does not have");
        }

        return secret.Problem is { } unreadable
            ? Refused(unreadable)
            : type switch
            {
                "basic" => Basic(secret),
                "bearer" => Bearer(secret),
                "oauth2" => ClientCredentials.Parse(secret.Value, egress) is var (credentials, problem) && problem is null
                    ? new() { OAuth = credentials, ExpiresAt = secret.ExpiresAt } : Refused(Names("oauth2", problem!)),
                "mtls" when webhook.Url.StartsWith("https:", StringComparison.OrdinalIgnoreCase) => new() { Pem = secret.Value, ExpiresAt = secret.ExpiresAt },
                "mtls" => Refused("auth_type mtls needs an https URL"),
                _ => Refused($"auth_type {type} is not known to this worker"),
            };
    }

    public override string ToString() => nameof(EndpointAuthorization);

    private static EndpointAuthorization Basic(WebhookSecret secret)
        => secret.Value.Contains(':', StringComparison.Ordinal) && !secret.Value.Any(char.IsControl)
            ? new() { Header = "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes(secret.Value)), ExpiresAt = secret.ExpiresAt }
            : Refused(Names("basic", "must be user:password without control characters"));

    private static EndpointAuthorization Bearer(WebhookSecret secret)
        => IsToken(secret.Value)
            ? new() { Header = "Bearer " + secret.Value, ExpiresAt = secret.ExpiresAt }
            : Refused(Names("bearer", "must be a token of printable ASCII without spaces"));

    private static EndpointAuthorization Refused(string problem) => new() { Problem = problem };

    private static string Names(string type, string problem) => $"the secret {SecretName} of auth_type {type} {problem}";

    internal static bool IsToken(string text) => text.Length > 0 && !text.AsSpan().ContainsAnyExceptInRange('!', '~');
}

/// <summary>What a token is asked for with (RFC 6749, section 4.4). Equal ones share a token.</summary>
internal sealed record ClientCredentials(Uri TokenUrl, string ClientId, string ClientSecret, string? Scope, string? Audience)
{
    public static (ClientCredentials? Credentials, string? Problem) Parse(string json, EgressOptions egress)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
            {
                return (null, "must be a JSON object");
            }

            foreach (var name in (string[])["token_url", "client_id", "client_secret"])
            {
                if (string.IsNullOrEmpty(Text(document.RootElement, name)))
                {
                    return (null, $"must have {name}, a string");
                }
            }

            var target = TargetUrl.Check(Text(document.RootElement, "token_url"), egress);
            return target.Problem is { } problem
                ? (null, $"has a token_url that is not allowed: {problem}")
                : (new(target.Uri!, Text(document.RootElement, "client_id")!, Text(document.RootElement, "client_secret")!,
                    Text(document.RootElement, "scope"), Text(document.RootElement, "audience")), null);
        }
        catch (JsonException)
        {
            return (null, "must be a JSON object");
        }
    }

    public override string ToString() => nameof(ClientCredentials);

    private static string? Text(JsonElement json, string name)
        => json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
