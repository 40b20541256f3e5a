using System.Net;
using RuleEngineNats.DeliveryWorker.Delivery;

namespace RuleEngineNats.DeliveryWorker.Authorization;

/// <summary>What an attempt may be sent with, or why it may not be sent at all.</summary>
internal sealed class Grant(DeliveryClient client, DeliveryOutcome? refused = null) : IDisposable
{
    public DeliveryOutcome? Refused { get; } = refused;

    public DeliveryClient Client { get; } = client;

    /// <summary>The value of <c>Authorization</c>.</summary>
    public string? Header { get; init; }

    /// <summary>The token in <see cref="Header"/> and what it was fetched with, where another one can be had.</summary>
    public (ClientCredentials Credentials, string Value)? Token { get; init; }

    public CertificateClient? Rented { get; init; }

    public void Dispose() => Rented?.Dispose();
}

/// <summary>
/// Gets what an endpoint's <c>auth_type</c> asks for and sends with it.
/// <code>
/// 1 grant    header, token or client certificate; without it nothing is sent
/// 2 send
/// 3 401      with a token: fetch another, send once more
/// </code>
/// </summary>
internal sealed class Authorize(DeliveryClient client, OAuthTokens tokens, CertificateClients certificates, TimeProvider time)
{
    public async ValueTask<Grant> GrantAsync(Endpoint endpoint, CancellationToken cancellationToken)
    {
        var wanted = endpoint.Authorization;
        if (ReferenceEquals(wanted, EndpointAuthorization.None))
        {
            return new(client);
        }

        if (wanted.Problem is { } problem)
        {
            return Refuse(problem);
        }

        if (wanted.ExpiresAt <= time.GetUtcNow())
        {
            return Refuse($"the secret {EndpointAuthorization.SecretName} has expired");
        }

        if (wanted.Header is { } header)
        {
            return new(client) { Header = header };
        }

        if (wanted.OAuth is { } credentials)
        {
            var (token, failure) = await tokens.GetAsync(credentials, rejected: null, cancellationToken);
            return failure is not null ? new(client, failure) : Bearing(credentials, token!);
        }

        return Rent(endpoint.Id, wanted.Pem!);
    }

    /// <param name="grant">Not a refused one.</param>
    /// <param name="create">Makes the request; a request cannot be sent twice.</param>
    public async Task<HttpResponseMessage> SendAsync(Grant grant, Func<HttpRequestMessage> create, CancellationToken cancellationToken)
    {
        var response = await SendOnceAsync(grant, create, cancellationToken);
        if (response.StatusCode != HttpStatusCode.Unauthorized || grant.Token is not var (credentials, rejected))
        {
            return response;
        }

        // Tokens are revoked before their time too. Without another one the 401 is what the attempt came to.
        var (token, _) = await tokens.GetAsync(credentials, rejected, cancellationToken);
        if (token is null)
        {
            return response;
        }

        response.Dispose();
        using var again = Bearing(credentials, token);
        return await SendOnceAsync(again, create, cancellationToken);
    }

    private static async Task<HttpResponseMessage> SendOnceAsync(Grant grant, Func<HttpRequestMessage> create, CancellationToken cancellationToken)
    {
        using var request = create();
        if (grant.Header is { } header)
        {
            // Whatever the endpoint's headers or the event's have under this name, the secret wins.
            request.Headers.Remove("Authorization");
            request.Headers.TryAddWithoutValidation("Authorization", header);
        }

        return await grant.Client.SendAsync(request, cancellationToken);
    }

    private Grant Rent(int webhookId, string pem)
    {
        var rented = certificates.Rent(webhookId, pem);
        var problem = rented.Problem
            ?? (rented.NotAfter <= time.GetUtcNow() ? $"the certificate of the secret {EndpointAuthorization.SecretName} ended at {rented.NotAfter:O}" : null);
        if (problem is null)
        {
            return new(rented.Client!) { Rented = rented };
        }

        rented.Dispose();
        return Refuse(problem);
    }

    private Grant Bearing(ClientCredentials credentials, string token) => new(client) { Header = "Bearer " + token, Token = (credentials, token) };

    private Grant Refuse(string problem) => new(client, new DeliveryOutcome.NotAuthorized(problem));
}
