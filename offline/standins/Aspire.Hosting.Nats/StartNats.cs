using System.Globalization;
using System.Text;
using System.Text.Json;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Local;

namespace Aspire.Hosting.Nats;

/// <summary>Runs the installed nats-server. User and password go into a private configuration file, not into its arguments.</summary>
internal sealed class StartNats(NatsServerResource server)
{
    public const int ClientPort = 4222;
    public const int MonitoringPort = 8222;
    public const string DataDirectory = "/var/lib/nats";

    public async Task<LocalCommand> PrepareAsync(LocalLaunch launch, CancellationToken cancellationToken)
    {
        var settings = new StringBuilder();
        Set(settings, "host", "localhost");
        settings.Append(CultureInfo.InvariantCulture, $"port: {launch.PortOf(ClientPort)}\n");
        if (server.PasswordParameter is not null)
        {
            settings.Append("authorization {\n");
            Set(settings, "user", await server.UserNameReference.GetValueAsync(cancellationToken).ConfigureAwait(false));
            Set(settings, "password", await server.PasswordParameter.GetValueAsync(cancellationToken).ConfigureAwait(false));
            settings.Append("}\n");
        }

        var arguments = Translate(launch, settings);
        var file = Path.Combine(launch.TemporaryDirectory, "nats.conf");
        await WritePrivatelyAsync(file, settings.ToString(), cancellationToken).ConfigureAwait(false);
        return new LocalCommand(Program(), ["-c", file, .. arguments])
        {
            WorkingDirectory = launch.TemporaryDirectory,
            Environment = launch.Environment,

            // Both signals end it in order; after this one it calls that a success.
            StopSignal = LocalProcess.SigInt,
        };
    }

    private static string Program() =>
        Environment.GetEnvironmentVariable("NATS_SERVER") is { Length: > 0 } given ? given
        : Executables.TryFind("nats-server") ?? throw new DistributedApplicationException("nats-server is not installed: it is neither in PATH nor named by NATS_SERVER.");

    /// <summary>Arguments meant for a server alone in its container: ports and directories are others here.</summary>
    private static List<string> Translate(LocalLaunch launch, StringBuilder settings)
    {
        var arguments = new List<string>();
        var isJetStream = false;
        string? store = null;
        for (var i = 0; i < launch.Arguments.Count; i++)
        {
            var (name, inline) = launch.Arguments[i].Split('=', 2) is [var left, var right] ? (left, right) : (launch.Arguments[i], null);
            switch (name.StartsWith("--", StringComparison.Ordinal) ? name[1..] : name)
            {
                case "-js" or "-jetstream":
                    isJetStream = true;
                    break;
                case "-sd" or "-store_dir":
                    store = Value();
                    break;
                case "-c" or "-config":
                    // The server reads one file, and takes included paths from where that one is.
                    Set(settings, "include", Path.GetRelativePath(launch.TemporaryDirectory, Value()), separator: " ");
                    break;
                case "-m" or "-http_port":
                    var monitoring = int.Parse(Value(), CultureInfo.InvariantCulture);
                    settings.Append(CultureInfo.InvariantCulture, $"http: \"localhost:{launch.PortFor(monitoring) ?? monitoring}\"\n");
                    break;
                default:
                    arguments.Add(launch.Arguments[i]);
                    break;
            }

            string Value() => inline ?? (++i < launch.Arguments.Count ? launch.Arguments[i] : throw new DistributedApplicationException($"The nats-server argument '{name}' has no value."));
        }

        if (isJetStream)
        {
            settings.Append("jetstream {\n");
            Set(settings, "store_dir", store ?? launch.DirectoryFor(DataDirectory));
            settings.Append("}\n");
        }

        return arguments;
    }

    // A JSON string is a string in this format too, whatever the password holds; only "$name" unquoted would be a variable.
    private static void Set(StringBuilder settings, string name, string? value, string separator = ": ") =>
        settings.Append(CultureInfo.InvariantCulture, $"{name}{separator}{JsonSerializer.Serialize(value, Plain)}\n");

    private static readonly JsonSerializerOptions Plain = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static async Task WritePrivatelyAsync(string file, string text, CancellationToken cancellationToken)
    {
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        await using var writer = new StreamWriter(file, options);
        await writer.WriteAsync(text.AsMemory(), cancellationToken).ConfigureAwait(false);
    }
}
