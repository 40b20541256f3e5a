using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using NATS.Client.Core.Internal;

namespace NATS.Client.Core;

public enum TlsMode
{
    Auto,
    Prefer,
    Require,
    Implicit,
    Disable,
}

public sealed record NatsTlsOpts
{
    public static readonly NatsTlsOpts Default = new();

    public string? CertFile { get; init; }

    public string? KeyFile { get; init; }

    public string? KeyFilePassword { get; init; }

    public string? CertBundleFile { get; init; }

    public string? CertBundleFilePassword { get; init; }

    public Func<SslClientAuthenticationOptions, ValueTask>? ConfigureClientAuthentication { get; init; }

    public string? CaFile { get; init; }

    public bool InsecureSkipVerify { get; init; }

    public TlsMode Mode { get; init; }

    private bool HasTlsCerts =>
        CertFile is not null || KeyFile is not null || CertBundleFile is not null || CaFile is not null || ConfigureClientAuthentication is not null;

    internal TlsMode EffectiveMode(ServerUri uri) => Mode switch
    {
        TlsMode.Auto => HasTlsCerts || uri.IsTls ? TlsMode.Require : TlsMode.Prefer,
        _ => Mode,
    };

    internal async ValueTask<SslClientAuthenticationOptions> ClientOptionsAsync(string host)
    {
        if ((CertFile is null) != (KeyFile is null))
        {
            throw new ArgumentException("NatsTlsOpts.CertFile and NatsTlsOpts.KeyFile must both be set");
        }

        if (CertFile is not null && CertBundleFile is not null)
        {
            throw new ArgumentException("NatsTlsOpts.CertFile and NatsTlsOpts.CertFileBundle are mutually exclusive");
        }

        var options = new SslClientAuthenticationOptions
        {
            TargetHost = host,
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        };

        if (CaFile is not null)
        {
            var roots = new X509Certificate2Collection();
            roots.ImportFromPem(await File.ReadAllTextAsync(CaFile).ConfigureAwait(false));
            options.RemoteCertificateValidationCallback = (_, certificate, chain, errors) => IsSignedBy(roots, certificate, chain, errors);
        }

        if (CertFile is not null)
        {
            var pem = await File.ReadAllTextAsync(CertFile).ConfigureAwait(false);
            var key = await File.ReadAllTextAsync(KeyFile!).ConfigureAwait(false);
            var leaf = string.IsNullOrEmpty(KeyFilePassword)
                ? X509Certificate2.CreateFromPem(pem, key)
                : X509Certificate2.CreateFromEncryptedPem(pem, key, KeyFilePassword);
            var rest = new X509Certificate2Collection();
            rest.ImportFromPem(pem);
            rest.RemoveAt(0);
            options.ClientCertificateContext = SslStreamCertificateContext.Create(leaf, rest, offline: false);
        }

        if (CertBundleFile is not null)
        {
            var bundle = X509CertificateLoader.LoadPkcs12CollectionFromFile(CertBundleFile, CertBundleFilePassword);
            var leaf = bundle.First(c => c.HasPrivateKey);
            bundle.Remove(leaf);
            options.ClientCertificateContext = SslStreamCertificateContext.Create(leaf, bundle, offline: false);
        }

        if (InsecureSkipVerify)
        {
            options.RemoteCertificateValidationCallback = static (_, _, _, _) => true;
        }

        if (ConfigureClientAuthentication is not null)
        {
            await ConfigureClientAuthentication(options).ConfigureAwait(false);
        }

        return options;
    }

    // The chain must end at one of the given roots; the machine's own store does not count, a wrong host name still does.
    private static bool IsSignedBy(X509Certificate2Collection roots, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        if (certificate is not X509Certificate2 leaf || chain is null || (errors & ~SslPolicyErrors.RemoteCertificateChainErrors) != 0)
        {
            return false;
        }

        using var own = new X509Chain();
        own.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        own.ChainPolicy.CustomTrustStore.AddRange(roots);
        own.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        foreach (var element in chain.ChainElements)
        {
            own.ChainPolicy.ExtraStore.Add(element.Certificate);
        }

        return own.Build(leaf);
    }
}
