using System.Globalization;
using System.Net;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.Receiver;

/// <summary>What the command line says; <see cref="Help"/> explains it.</summary>
internal sealed class ReceiverOptions
{
    private const int MostKept = 100_000;

    public int Port { get; private set; } = 8090;

    public IPAddress Address { get; private set; } = IPAddress.Loopback;

    /// <summary>Null for none.</summary>
    public int? SilentPort { get; private set; }

    /// <summary>Answer 401 to what does not verify, instead of what the script says.</summary>
    public bool Strict { get; private set; }

    /// <summary>Requests that <c>GET /_log</c> can show.</summary>
    public int Keep { get; private set; } = 1000;

    public bool WantsHelp { get; private set; }

    public Dictionary<string, ReceiverScript> Scripts { get; } = [];

    /// <summary>Secrets by path; those of <see cref="ScriptTable.AnyOther"/> are for every path without its own.</summary>
    public Dictionary<string, List<string>> Secrets { get; } = [];

    /// <summary>Reads all of it and says all that is wrong.</summary>
    public static ReceiverOptions Parse(IReadOnlyList<string> arguments, ICollection<string> problems)
    {
        var options = new ReceiverOptions();
        for (var index = 0; index < arguments.Count; index++)
        {
            var (name, value) = arguments[index].IndexOf('=', StringComparison.Ordinal) is var at and > 0 && arguments[index].StartsWith("--", StringComparison.Ordinal)
                ? (arguments[index][..at], arguments[index][(at + 1)..])
                : (arguments[index], null);
            if (name is "--help" or "-h")
            {
                options.WantsHelp = true;
            }
            else if (name is "--strict" && value is null)
            {
                options.Strict = true;
            }
            else if (name is not ("--port" or "--address" or "--script" or "--secret" or "--keep" or "--silent-port"))
            {
                problems.Add($"{arguments[index]}: no such option; ./run receiver --help lists them");
            }
            else if ((value ?? arguments.ElementAtOrDefault(++index)) is { } given)
            {
                options.Read(name, given, problems);
            }
            else
            {
                problems.Add($"{name}: its value is missing; write {name} VALUE");
            }
        }

        return options;
    }

    private void Read(string name, string value, ICollection<string> problems)
    {
        switch (name)
        {
            case "--port":
                Port = ReadNumber(name, value, 0, IPEndPoint.MaxPort, "give a port, or 0 for any that is free", problems);
                break;
            case "--silent-port":
                SilentPort = ReadNumber(name, value, 0, IPEndPoint.MaxPort, "give a port, or 0 for any that is free", problems);
                break;
            case "--keep":
                Keep = ReadNumber(name, value, 1, MostKept, "say how many requests GET /_log is to show", problems);
                break;
            case "--address" when IPAddress.TryParse(value, out var address):
                Address = address;
                break;
            case "--address":
                problems.Add($"--address: \"{value}\" is no IP address; give one of this machine, such as 127.0.0.1, or 0.0.0.0 for all of them");
                break;
            case "--script":
                ReadScript(value, problems);
                break;
            default:
                ReadSecret(value, problems);
                break;
        }
    }

    private static int ReadNumber(string name, string value, int least, int most, string fix, ICollection<string> problems)
    {
        if (int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= least && number <= most)
        {
            return number;
        }

        problems.Add($"{name}: \"{value}\" is not {least} to {most}; {fix}");
        return least;
    }

    private void ReadScript(string value, ICollection<string> problems)
    {
        if (value.IndexOf('=', StringComparison.Ordinal) is not (var at and > 0))
        {
            problems.Add($"--script: \"{value}\" has no path; write --script \"/orders={value}\", or \"*={value}\" for every other path");
        }
        else if (ScriptTable.Read(value[..at], value[(at + 1)..], "--script ", problems) is { } script)
        {
            Scripts[value[..at]] = script;
        }
    }

    private void ReadSecret(string value, ICollection<string> problems)
    {
        var (path, secret) = value.StartsWith('/') && value.IndexOf('=', StringComparison.Ordinal) is var at and > 0
            ? (value[..at], value[(at + 1)..])
            : (ScriptTable.AnyOther, value);
        if (secret.StartsWith('@'))
        {
            if (!File.Exists(secret[1..]))
            {
                problems.Add($"--secret: there is no file {secret[1..]}; give one whose only content is the secret");
                return;
            }

            secret = File.ReadAllText(secret[1..]).Trim();
        }

        if (!IsKey(secret))
        {
            // Without the secret itself: this line may end up in a log.
            problems.Add($"--secret: that for {path} is not whsec_ and base64; copy what rule_webhook_secret_get(ID, 'signing') gives");
            return;
        }

        if (!Secrets.TryGetValue(path, out var secrets))
        {
            Secrets[path] = secrets = [];
        }

        secrets.Add(secret);
    }

    private static bool IsKey(string secret)
    {
        try
        {
            return StandardWebhookVerifier.Key(secret).Length > 0;
        }
        catch (FormatException)
        {
            return false;
        }
    }
}
