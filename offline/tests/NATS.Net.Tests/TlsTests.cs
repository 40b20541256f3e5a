using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using NATS.Client.Core;

namespace NATS.Net.Tests;

public sealed class TlsTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("nats-tls-").FullName;
    private readonly X509Certificate2 _ca;

    public TlsTests()
    {
        _ca = Authority("Test CA");
        Write("ca", _ca);
        Write("other-ca", Authority("Another CA"));
        Write("server", Signed("localhost", server: true));
        Write("client", Signed("client", server: false));
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task A_server_signed_by_our_authority_is_trusted()
    {
        await using var server = await Server.StartAsync(Tls(verify: false), host: "localhost");
        await using var nats = new NatsConnection(new NatsOpts { Url = server.Url, TlsOpts = new NatsTlsOpts { CaFile = File("ca.pem") } });

        await nats.ConnectAsync().InTime();

        Assert.True(nats.ServerInfo!.TlsRequired);
        await using var sub = await nats.SubscribeCoreAsync<byte[]>("tls.big").InTime();
        await nats.PublishAsync("tls.big", new byte[300_000]);
        Assert.Equal(300_000, (await sub.Msgs.ReadAsync(Poll.Token()).InTime()).Data!.Length);
    }

    [Fact]
    public async Task A_server_signed_by_another_authority_is_refused()
    {
        await using var server = await Server.StartAsync(Tls(verify: false), host: "localhost");
        await using var nats = new NatsConnection(new NatsOpts { Url = server.Url, TlsOpts = new NatsTlsOpts { CaFile = File("other-ca.pem") } });

        var refused = await Assert.ThrowsAsync<NatsException>(() => nats.ConnectAsync().InTime());

        Assert.Equal("TLS authentication failed", refused.InnerException!.Message);
    }

    [Fact]
    public async Task A_certificate_for_another_name_is_refused()
    {
        await using var server = await Server.StartAsync(Tls(verify: false));
        await using var nats = new NatsConnection(new NatsOpts { Url = server.Url, TlsOpts = new NatsTlsOpts { CaFile = File("ca.pem") } });

        await Assert.ThrowsAsync<NatsException>(() => nats.ConnectAsync().InTime());
    }

    [Fact]
    public async Task Skipping_verification_takes_any_certificate()
    {
        await using var server = await Server.StartAsync(Tls(verify: false));
        await using var nats = new NatsConnection(new NatsOpts { Url = server.Url, TlsOpts = new NatsTlsOpts { InsecureSkipVerify = true } });

        await nats.ConnectAsync().InTime();
    }

    [Fact]
    public async Task A_client_certificate_is_shown_and_its_absence_refused()
    {
        await using var server = await Server.StartAsync(Tls(verify: true), host: "localhost");
        await using var with = new NatsConnection(new NatsOpts { Url = server.Url, TlsOpts = new NatsTlsOpts { CaFile = File("ca.pem"), CertFile = File("client.pem"), KeyFile = File("client.key") } });
        await using var without = new NatsConnection(new NatsOpts { Url = server.Url, TlsOpts = new NatsTlsOpts { CaFile = File("ca.pem") } });

        await with.ConnectAsync().InTime();

        await Assert.ThrowsAsync<NatsException>(() => without.ConnectAsync().InTime());
    }

    [Fact]
    public async Task A_client_certificate_may_come_from_a_bundle()
    {
        await using var server = await Server.StartAsync(Tls(verify: true), host: "localhost");
        await using var nats = new NatsConnection(new NatsOpts { Url = server.Url, TlsOpts = new NatsTlsOpts { CaFile = File("ca.pem"), CertBundleFile = File("client.pfx"), CertBundleFilePassword = "pfx" } });

        await nats.ConnectAsync().InTime();
    }

    [Fact]
    public async Task A_certificate_without_its_key_is_refused()
    {
        await using var server = await Server.StartAsync(Tls(verify: false), host: "localhost");
        await using var nats = new NatsConnection(new NatsOpts { Url = server.Url, TlsOpts = new NatsTlsOpts { CertFile = File("client.pem") } });

        var refused = await Assert.ThrowsAsync<NatsException>(() => nats.ConnectAsync().InTime());

        Assert.IsType<ArgumentException>(refused.InnerException);
    }

    [Fact]
    public async Task Required_tls_is_not_given_up_for_a_plain_server()
    {
        await using var server = await Server.StartAsync();
        await using var required = new NatsConnection(new NatsOpts { Url = server.Url, TlsOpts = new NatsTlsOpts { Mode = TlsMode.Require } });
        await using var byScheme = new NatsConnection(new NatsOpts { Url = $"tls://127.0.0.1:{server.Port}" });

        await Assert.ThrowsAsync<NatsException>(() => required.ConnectAsync().InTime());
        await Assert.ThrowsAsync<NatsException>(() => byScheme.ConnectAsync().InTime());
    }

    [Fact]
    public async Task Disabled_tls_refuses_a_server_that_requires_it()
    {
        await using var server = await Server.StartAsync(Tls(verify: false), host: "localhost");
        await using var nats = new NatsConnection(new NatsOpts { Url = server.Url, TlsOpts = new NatsTlsOpts { Mode = TlsMode.Disable } });

        await Assert.ThrowsAsync<NatsException>(() => nats.ConnectAsync().InTime());
    }

    [Fact]
    public async Task Handshake_first_works()
    {
        await using var server = await Server.StartAsync(Tls(verify: false, more: "handshake_first: true"), host: "localhost");
        await using var nats = new NatsConnection(new NatsOpts { Url = server.Url, TlsOpts = new NatsTlsOpts { CaFile = File("ca.pem"), Mode = TlsMode.Implicit } });

        await nats.ConnectAsync().InTime();
    }

    [Fact]
    public async Task A_tls_connection_comes_back_after_a_restart()
    {
        await using var server = await Server.StartAsync(Tls(verify: false), host: "localhost");
        await using var nats = new NatsConnection(new NatsOpts { Url = server.Url, ReconnectWaitMin = TimeSpan.FromMilliseconds(20), ReconnectWaitMax = TimeSpan.FromMilliseconds(50), TlsOpts = new NatsTlsOpts { CaFile = File("ca.pem") } });
        await using var sub = await nats.SubscribeCoreAsync<string>("tls.back").InTime();

        await server.KillAsync();
        await Poll.UntilAsync(() => nats.ConnectionState != NatsConnectionState.Open);
        await server.RestartAsync();
        await nats.PublishAsync("tls.back", "here").InTime();

        Assert.Equal("here", (await sub.Msgs.ReadAsync(Poll.Token()).InTime()).Data);
    }

    private string Tls(bool verify, string more = "") =>
        $"tls {{ cert_file: \"{File("server.pem")}\", key_file: \"{File("server.key")}\", ca_file: \"{File("ca.pem")}\", verify: {(verify ? "true" : "false")}, timeout: 10, {more} }}";

    private string File(string name) => Path.Combine(_directory, name);

    private void Write(string name, X509Certificate2 certificate)
    {
        System.IO.File.WriteAllText(File(name + ".pem"), certificate.ExportCertificatePem());
        System.IO.File.WriteAllText(File(name + ".key"), certificate.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem());
        System.IO.File.WriteAllBytes(File(name + ".pfx"), certificate.Export(X509ContentType.Pfx, "pfx"));
    }

    private static X509Certificate2 Authority(string name)
    {
        var request = new CertificateRequest($"CN={name}", ECDsa.Create(ECCurve.NamedCurves.nistP256), HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        return request.CreateSelfSigned(TimeProvider.System.GetUtcNow().AddDays(-1), TimeProvider.System.GetUtcNow().AddDays(30));
    }

    private X509Certificate2 Signed(string name, bool server)
    {
        var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, false));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(server ? "1.3.6.1.5.5.7.3.1" : "1.3.6.1.5.5.7.3.2")], false));
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(name);
        request.CertificateExtensions.Add(names.Build());
        using var certificate = request.Create(_ca, TimeProvider.System.GetUtcNow().AddDays(-1), TimeProvider.System.GetUtcNow().AddDays(20), RandomNumberGenerator.GetBytes(8));
        return certificate.CopyWithPrivateKey(key);
    }
}
