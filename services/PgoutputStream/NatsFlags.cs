using System.CommandLine;
using System.Globalization;
using RuleEngineNats.ChangeCapture;

namespace RuleEngineNats.PgoutputStream;

/// <summary>The options of the command line for the connections to NATS servers, and for a stream that is made. Secrets are read from files and the environment: arguments are in every list of processes.</summary>
internal sealed class NatsFlags
{
    private const string PasswordVariable = "PGOUTPUT_STREAM_NATS_PASSWORD";
    private const string TokenVariable = "PGOUTPUT_STREAM_NATS_TOKEN";

    private readonly Option<string?> _credentials = new("--nats-creds") { Description = "A credentials file (JWT and seed, as nsc makes it) for every NATS server whose URL has no user." };
    private readonly Option<string?> _nkey = new("--nats-nkey") { Description = "A file with the seed of an nkey user." };
    private readonly Option<string?> _tokenFile = new("--nats-token-file") { Description = $"A file with a token. Default: {TokenVariable} of the environment." };
    private readonly Option<string?> _user = new("--nats-user") { Description = "A user name." };
    private readonly Option<string?> _passwordFile = new("--nats-password-file") { Description = $"A file with the password of --nats-user. Default: {PasswordVariable} of the environment." };
    private readonly Option<string?> _authority = new("--nats-tls-ca") { Description = "A PEM file of the authorities that a server's certificate may come from. Default: the machine's." };
    private readonly Option<string?> _certificate = new("--nats-tls-cert") { Description = "A PEM file of the certificate to show." };
    private readonly Option<string?> _key = new("--nats-tls-key") { Description = "A PEM file of its key." };
    private readonly Option<bool> _insecure = new("--nats-tls-insecure") { Description = "Take any certificate of a server: whoever is on the line can read and change everything." };
    private readonly Option<long> _maxBytes = new("--nats-max-bytes") { Description = "Most bytes of a stream that is made; -1 for no limit. When it is full the flow stops until there is room.", DefaultValueFactory = _ => -1 };
    private readonly Option<string> _maxAge = new("--nats-max-age") { Description = "How long a stream that is made keeps an event: a number and s, m, h or d; 0 for ever.", DefaultValueFactory = _ => "0" };
    private readonly Option<int> _replicas = new("--nats-replicas") { Description = "Copies of a stream that is made, 1 to 5.", DefaultValueFactory = _ => 1 };

    public IReadOnlyList<Option> All => [_credentials, _nkey, _tokenFile, _user, _passwordFile, _authority, _certificate, _key, _insecure, _maxBytes, _maxAge, _replicas];

    public void Read(ParseResult result, CaptureOptions options, List<string> problems)
    {
        options.NatsCredentials = new()
        {
            CredentialsFile = result.GetValue(_credentials),
            NkeySeed = Seed(Text(_nkey.Name, result.GetValue(_nkey), problems)),
            Token = Text(_tokenFile.Name, result.GetValue(_tokenFile), problems) ?? Variable(TokenVariable),
            Username = result.GetValue(_user),
            Password = Text(_passwordFile.Name, result.GetValue(_passwordFile), problems) ?? Variable(PasswordVariable),
        };
        options.NatsTls = new()
        {
            CaFile = result.GetValue(_authority),
            CertFile = result.GetValue(_certificate),
            KeyFile = result.GetValue(_key),
            Insecure = result.GetValue(_insecure),
        };
        options.NatsMaxBytes = result.GetValue(_maxBytes);
        options.NatsMaxAge = Age(result.GetValue(_maxAge)!, problems);
        options.NatsReplicas = result.GetValue(_replicas);
    }

    private static string? Variable(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;

    private static string? Text(string flag, string? path, List<string> problems)
    {
        if (path is null)
        {
            return null;
        }

        try
        {
            return File.ReadAllText(path).Trim();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException)
        {
            problems.Add($"{flag}: {exception.Message}");
            return null;
        }
    }

    // Beside the seed, a file of `nk -gen user` may have its public key.
    private static string? Seed(string? text)
        => text?.Split('\n', StringSplitOptions.TrimEntries).FirstOrDefault(line => line.StartsWith("SU", StringComparison.Ordinal)) ?? text;

    private static TimeSpan Age(string text, List<string> problems)
    {
        if (text == "0")
        {
            return TimeSpan.Zero;
        }

        var unit = text is [.., var last]
            ? last switch { 's' => TimeSpan.FromSeconds(1), 'm' => TimeSpan.FromMinutes(1), 'h' => TimeSpan.FromHours(1), 'd' => TimeSpan.FromDays(1), _ => TimeSpan.Zero }
            : TimeSpan.Zero;
        if (unit > TimeSpan.Zero && int.TryParse(text[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number <= 36_500)
        {
            return number * unit;
        }

        problems.Add($"--nats-max-age: '{text}' is no age: write a number up to 36,500 and s, m, h or d, e.g. 7d");
        return TimeSpan.Zero;
    }
}
