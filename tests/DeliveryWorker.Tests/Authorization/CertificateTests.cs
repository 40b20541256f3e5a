using RuleEngineNats.DeliveryWorker.Authorization;
using RuleEngineNats.DeliveryWorker.Delivery;
using RuleEngineNats.DeliveryWorker.Routing;
using RuleEngineNats.DeliveryWorker.Tests.Delivery;
using RuleEngineNats.Messaging;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.DeliveryWorker.Tests.Authorization;

public sealed class CertificateTests : IDisposable
{
    private readonly TestAuthority _authority = new();
    private readonly CertificateClients _clients = new(Requests.Local, DeliveryClient.Resolve);

    public void Dispose()
    {
        _clients.Dispose();
        _authority.Dispose();
    }

    [Fact]
    public void A_webhook_keeps_its_client_until_its_certificate_is_another()
    {
        var (old, replacement) = (_authority.IssuePem("old"), _authority.IssuePem("new"));
        using var first = _clients.Rent(1, old);
        using (var again = _clients.Rent(1, old))
        {
            Assert.Same(first, again);
        }

        using var other = _clients.Rent(2, old);
        using var replaced = _clients.Rent(1, replacement);
        Assert.NotSame(first, other);
        Assert.NotSame(first, replaced);
        // What is on its way may end; then the old identity is gone.
        Assert.NotNull(first.Client);
        first.Dispose();
        Assert.Null(first.Client);
        Assert.NotNull(replaced.Client);
    }

    [Fact]
    public void A_configuration_without_the_webhook_or_its_certificate_ends_the_client()
    {
        var pem = _authority.IssuePem("hook");
        var kept = Rented(1, pem);
        var gone = Rented(2, pem);
        var otherType = Rented(3, pem);
        var otherSecret = Rented(4, pem);

        _clients.Retain(new ConfigSnapshot([Webhook(1, "mtls", pem), Webhook(3, "basic", pem), Webhook(4, "mtls", "other")], [], []));

        Assert.NotNull(kept.Client);
        Assert.All([gone, otherType, otherSecret], client => Assert.Null(client.Client));
    }

    [Theory]
    [InlineData("canary")]
    [InlineData("certificate only")]
    [InlineData("key of another")]
    public async Task What_is_no_certificate_with_its_key_sends_nothing(string kind)
    {
        var (one, other) = (_authority.IssuePem("canary"), _authority.IssuePem("canary"));
        var split = one.IndexOf("-----BEGIN PRIVATE", StringComparison.Ordinal);
        var outcome = await SendAsync(kind switch
        {
            "certificate only" => one[..split],
            "key of another" => one[..split] + other[other.IndexOf("-----BEGIN PRIVATE", StringComparison.Ordinal)..],
            _ => kind,
        });

        Assert.Equal("not_authorized: the secret auth of auth_type mtls must be a certificate and the key that belongs to it, both PEM, the key without a passphrase", outcome.Error);
    }

    [Fact]
    public async Task A_certificate_that_has_ended_is_not_offered()
        => Assert.StartsWith(
            "not_authorized: the certificate of the secret auth ended at ",
            (await SendAsync(_authority.IssuePem("ended", TimeProvider.System.GetUtcNow().AddHours(-1)))).Error, StringComparison.Ordinal);

    private static async Task<DeliveryOutcome> SendAsync(string pem)
    {
        using var client = new DeliveryClient(Requests.Local);
        return (await Requests.Slice(client).SendAsync(Routes.ToEndpoint(Webhook(1, "mtls", pem), Requests.Local, default), Requests.Event(), 1, CancellationToken.None)).Outcome;
    }

    private static WebhookDefinition Webhook(int id, string type, string secret) => new(id, $"hook {id}", "https://127.0.0.1:1/", true)
    {
        Delivery = new() { AuthType = type },
        Secrets = [new("auth", secret, null, null)],
    };

    private CertificateClient Rented(int id, string pem)
    {
        using var client = _clients.Rent(id, pem);
        return client;
    }
}
