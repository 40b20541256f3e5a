using System.Text;
using NATS.NKeys;

namespace NATS.Client.Core.Internal;

/// <summary>Fills in CONNECT what the options give to prove who we are.</summary>
internal sealed class Credentials
{
    private readonly NatsAuthOpts _opts;
    private readonly string? _jwt;
    private readonly string? _seed;
    private readonly string? _nkey;

    public Credentials(NatsAuthOpts opts)
    {
        _opts = opts;
        (_jwt, _seed, _nkey) = (opts.Jwt, opts.Seed, opts.NKey);
        if (!string.IsNullOrEmpty(opts.CredsFile))
        {
            (_jwt, _seed) = FromCredsFile(opts.CredsFile);
        }

        if (!string.IsNullOrEmpty(opts.Creds))
        {
            (_jwt, _seed) = FromCreds(opts.Creds);
        }

        if (!string.IsNullOrEmpty(opts.NKeyFile))
        {
            (_seed, _nkey) = FromNKeyFile(opts.NKeyFile);
        }
    }

    public async ValueTask ApplyAsync(ConnectOptions connect, ServerInfo info, ServerUri uri, TimeSpan timeout, CancellationToken cancellationToken)
    {
        connect.Username = _opts.Username;
        connect.Password = _opts.Password;
        connect.Token = _opts.Token;
        connect.Jwt = _jwt;
        connect.NKey = _nkey;
        var seed = _seed;
        if (_opts.AuthCredCallback is { } callback)
        {
            using var cts = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            cts.CancelAfter(timeout);
            seed = Apply(connect, await callback(uri.Uri, cts.Token).ConfigureAwait(false));
        }

        // A server with no_auth_user does not ask for authentication, but still takes a signature.
        connect.Signature = info.Nonce is { } nonce && !string.IsNullOrEmpty(seed) ? Sign(seed, nonce) : null;
    }

    private static string? Apply(ConnectOptions connect, NatsAuthCred cred)
    {
        switch (cred.Type)
        {
            case NatsAuthType.UserInfo:
                (connect.Username, connect.Password) = (cred.Value, cred.Secret);
                return null;
            case NatsAuthType.Token:
                connect.Token = cred.Value;
                return null;
            case NatsAuthType.Jwt:
                connect.Jwt = cred.Value;
                return cred.Secret;
            case NatsAuthType.Nkey:
                using (var pair = KeyPair.FromSeed(cred.Secret))
                {
                    connect.NKey = pair.GetPublicKey();
                }

                return cred.Secret;
            case NatsAuthType.Creds:
                (connect.Jwt, var credsSeed) = FromCreds(cred.Value!);
                return credsSeed;
            case NatsAuthType.CredsFile:
                (connect.Jwt, var fileSeed) = FromCredsFile(cred.Value!);
                return fileSeed;
            case NatsAuthType.NkeyFile:
                (var nkeySeed, connect.NKey) = FromNKeyFile(cred.Value!);
                return nkeySeed;
            default:
                return null;
        }
    }

    private static string Sign(string seed, string nonce)
    {
        using var pair = KeyPair.FromSeed(seed);
        var signature = new byte[64];
        pair.Sign(Encoding.ASCII.GetBytes(nonce), signature);
        return Convert.ToBase64String(signature);
    }

    private static (string Jwt, string Seed) FromCredsFile(string path)
    {
        try
        {
            return Parse(File.ReadAllText(path));
        }
        catch (Exception e)
        {
            throw new NatsException($"Error loading creds file '{path}': {e.Message}", e);
        }
    }

    private static (string Jwt, string Seed) FromCreds(string text)
    {
        try
        {
            return Parse(text);
        }
        catch (NatsException e)
        {
            throw new NatsException("Error loading credentials", e);
        }
    }

    private static (string Jwt, string Seed) Parse(string text)
    {
        string? jwt = null;
        string? seed = null;
        var lines = text.Split('\n', StringSplitOptions.TrimEntries);
        for (var i = 0; i < lines.Length - 1; i++)
        {
            if (lines[i].StartsWith("-----BEGIN NATS USER JWT-----", StringComparison.Ordinal))
            {
                jwt = lines[i + 1];
            }
            else if (lines[i].StartsWith("-----BEGIN USER NKEY SEED-----", StringComparison.Ordinal))
            {
                seed = lines[i + 1];
            }
        }

        return (
            jwt ?? throw new NatsException("Can't find JWT in credentials"),
            seed ?? throw new NatsException("Can't find NKEY in credentials"));
    }

    private static (string Seed, string NKey) FromNKeyFile(string path)
    {
        string? seed = null;
        string? nkey = null;
        foreach (var line in File.ReadLines(path).Select(l => l.Trim()))
        {
            if (line.StartsWith("SU", StringComparison.Ordinal))
            {
                seed = line;
            }
            else if (line.StartsWith('U'))
            {
                nkey = line;
            }
        }

        return (
            seed ?? throw new NatsException($"Can't find seed while loading NKEY file {path}"),
            nkey ?? throw new NatsException($"Can't find public key while loading NKEY file {path}"));
    }
}
