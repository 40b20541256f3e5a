using System.Net;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using RuleEngineNats.DeliveryWorker.Delivery;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.DeliveryWorker.Authorization;

/// <summary>
/// A client for each webhook that authorizes itself by certificate: connections carry the identity, so they are shared with no other webhook. One whose certificate
/// was replaced or whose webhook has gone ends when its last request has.
/// </summary>
internal sealed class CertificateClients(EgressOptions egress, Func<string, CancellationToken, Task<IPAddress[]>> resolve) : IDisposable
{
    private readonly Dictionary<int, CertificateClient> _clients = [];

    /// <summary>The client of a webhook; it has to be given back.</summary>
    public CertificateClient Rent(int webhookId, string pem)
    {
        lock (_clients)
        {
            if (!_clients.TryGetValue(webhookId, out var client) || client.Pem != pem)
            {
                client?.Retire();
                _clients[webhookId] = client = CertificateClient.Create(this, pem, egress, resolve);
            }

            client.Users++;
            return client;
        }
    }

    /// <summary>Ends the clients that a configuration has no use for.</summary>
    public void Retain(ConfigSnapshot snapshot)
    {
        lock (_clients)
        {
            foreach (var (id, client) in _clients.ToArray())
            {
                if (snapshot.WebhooksById.GetValueOrDefault(id) is not { Delivery.AuthType: "mtls" } webhook
                    || !webhook.Secrets.Any(secret => secret.Name == EndpointAuthorization.SecretName && secret.Value == client.Pem))
                {
                    _clients.Remove(id);
                    client.Retire();
                }
            }
        }
    }

    public void Dispose() => Retain(new ConfigSnapshot([], [], []));

    internal void Return(CertificateClient client)
    {
        lock (_clients)
        {
            client.Users--;
            client.EndIfUnused();
        }
    }
}

/// <summary>One such client while it is rented, or why there is none. Everything of it happens under its owner's lock.</summary>
internal sealed class CertificateClient : IDisposable
{
    private readonly CertificateClients _owner;
    private bool _retired;

    private CertificateClient(CertificateClients owner, string pem) => (_owner, Pem) = (owner, pem);

    public string Pem { get; }

    public DeliveryClient? Client { get; private set; }

    public DateTimeOffset NotAfter { get; private set; }

    public string? Problem { get; private set; }

    public int Users { get; set; }

    public static CertificateClient Create(
        CertificateClients owner, string pem, EgressOptions egress, Func<string, CancellationToken, Task<IPAddress[]>> resolve)
    {
        var client = new CertificateClient(owner, pem);
        try
        {
            var certificate = X509Certificate2.CreateFromPem(pem, pem);
            var chain = new X509Certificate2Collection();
            chain.ImportFromPem(pem);
            chain.RemoveAt(0);
            client.NotAfter = certificate.NotAfter.ToUniversalTime();
            client.Client = new DeliveryClient(egress, resolve, SslStreamCertificateContext.Create(certificate, chain, offline: true));
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            client.Problem = $"the secret {EndpointAuthorization.SecretName} of auth_type mtls must be a certificate and the key that belongs to it, both PEM, the key without a passphrase";
        }

        return client;
    }

    public void Retire()
    {
        _retired = true;
        EndIfUnused();
    }

    public void EndIfUnused()
    {
        if (_retired && Users == 0)
        {
            Client?.Dispose();
            Client = null;
        }
    }

    public void Dispose() => _owner.Return(this);
}
