using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using NATS.NKeys;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.ChangeCapture.Outputs;

/// <summary>How the capture shows NATS servers who it is, and knows them.</summary>
internal static class NatsAccess
{
    /// <param name="urls">One server or cluster. A user in it is for it alone, and goes before the options.</param>
    /// <param name="options">What holds for all.</param>
    public static ConnectionSettings Of(string urls, CaptureOptions options)
    {
        var (given, tls) = (options.NatsCredentials, options.NatsTls);
        var settings = new ConnectionSettings(urls)
        {
            Tls = tls.IsGiven,
            TlsCaFile = tls.CaFile,
            TlsCertFile = tls.CertFile,
            TlsKeyFile = tls.KeyFile,
            TlsInsecure = tls.Insecure,
        };
        return urls.Contains('@', StringComparison.Ordinal) ? settings : settings with
        {
            AuthType = given switch
            {
                { CredentialsFile: not null } => "credentials",
                { NkeySeed: not null } => "nkey",
                { Token: not null } => "token",
                _ => "none",
            },
            CredentialsFile = given.CredentialsFile,
            NkeySeed = given.NkeySeed,
            Token = given.Token,
            Username = given.Username,
            Password = given.Password,
        };
    }

    /// <summary>What is wrong, each beginning with the option's name; never a secret.</summary>
    public static IEnumerable<string> Problems(CaptureOptions options)
    {
        var (given, tls) = (options.NatsCredentials, options.NatsTls);
        string?[] ways = [given.CredentialsFile, given.NkeySeed, given.Token, given.Username ?? given.Password];
        if (ways.Count(way => way is not null) > 1)
        {
            yield return "NatsCredentials: more than one is given; give a credentials file, an nkey, a token, or a user with a password";
        }

        if ((given.Username is null) != (given.Password is null))
        {
            yield return given.Username is null ? "NatsCredentials.Username: a password is given, and no user" : $"NatsCredentials.Username: '{given.Username}' has no password";
        }

        foreach (var (option, problem) in ((string, string?)[])[
            ("NatsCredentials.CredentialsFile", given.CredentialsFile is { } file ? Try(() => ReadCredentials(file)) : null),
            ("NatsCredentials.NkeySeed", given.NkeySeed is { } seed ? SeedProblem(seed) : null),
            ("NatsTls.CaFile", tls.CaFile is { } authority ? Try(() => ReadAuthorities(authority)) : null),
            (tls.CertFile is null ? "NatsTls.KeyFile" : "NatsTls.CertFile", tls.CertFile is null && tls.KeyFile is null ? null : CertificateProblem(tls))])
        {
            if (problem is not null)
            {
                yield return $"{option}: {problem}";
            }
        }
    }

    private static string? CertificateProblem(NatsTls tls)
        => tls.CertFile is { } certificate && tls.KeyFile is { } key ? Try(() => X509Certificate2.CreateFromPemFile(certificate, key).Dispose())
        : tls.CertFile is null ? "a key is given, and no certificate"
        : "a certificate is given, and no key";

    private static string? SeedProblem(string seed)
    {
        const string None = "it is no user's seed: one has 58 characters and begins with SU";
        try
        {
            KeyPair.FromSeed(seed).Dispose();
            return seed.StartsWith("SU", StringComparison.Ordinal) ? null : None;
        }
        catch (Exception exception) when (exception is NKeysException or ArgumentException or FormatException)
        {
            return None;
        }
    }

    private static void ReadCredentials(string file)
    {
        var text = File.ReadAllText(file);
        if (!text.Contains("-----BEGIN NATS USER JWT-----", StringComparison.Ordinal) || !text.Contains("-----BEGIN USER NKEY SEED-----", StringComparison.Ordinal))
        {
            throw new InvalidDataException($"{file} has no NATS USER JWT and USER NKEY SEED: name a file as nsc makes it");
        }
    }

    private static void ReadAuthorities(string file)
    {
        var authorities = new X509Certificate2Collection();
        authorities.ImportFromPemFile(file);
        if (authorities.Count == 0)
        {
            throw new InvalidDataException($"{file} has no certificate in PEM form");
        }
    }

    private static string? Try(Action read)
    {
        try
        {
            read();
            return null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or CryptographicException or InvalidDataException or ArgumentException)
        {
            return exception.Message;
        }
    }
}
