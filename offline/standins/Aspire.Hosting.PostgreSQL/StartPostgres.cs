using System.Globalization;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Local;
using Microsoft.Extensions.Logging;

namespace Aspire.Hosting.Postgres;

/// <summary>Runs the installed server on a data directory of its own, as an ordinary user, with a password on TCP.</summary>
internal sealed partial class StartPostgres(PostgresServerResource server)
{
    public const int ServerPort = 5432;
    public const string DataDirectory = "/var/lib/postgresql";

    private const int SigInt = LocalProcess.SigInt;

    /// <summary>Whether this start made the data directory.</summary>
    public bool IsFresh { get; private set; }

    public async Task<LocalCommand> PrepareAsync(LocalLaunch launch, CancellationToken cancellationToken)
    {
        var programs = Programs();

        // The server refuses to run as root, so root gives everything to the user that the package made for it.
        var user = Environment.IsPrivilegedProcess ? "postgres" : null;
        var data = Path.Combine(launch.DirectoryFor(DataDirectory), "data");
        var sockets = Path.Combine(launch.TemporaryDirectory, "sockets");
        Directory.CreateDirectory(sockets);
        await GiveAsync(sockets, user, cancellationToken).ConfigureAwait(false);

        IsFresh = !File.Exists(Path.Combine(data, "PG_VERSION"));
        if (IsFresh)
        {
            LogCreating(launch.Logger, data);
            Directory.CreateDirectory(data);
            await GiveAsync(data, user, cancellationToken).ConfigureAwait(false);
            await InitializeAsync(programs, data, launch.TemporaryDirectory, user, cancellationToken).ConfigureAwait(false);
        }

        string[] arguments = [.. launch.Arguments.SkipWhile(static argument => argument == "postgres")];
        return new LocalCommand(
            Path.Combine(programs, "postgres"),
            ["-D", data, "-h", "localhost", "-p", launch.PortOf(ServerPort).ToString(CultureInfo.InvariantCulture), "-k", sockets, .. arguments])
        {
            WorkingDirectory = launch.TemporaryDirectory,
            Environment = launch.Environment,
            User = user,

            // Fast shutdown: open connections are ended, what is committed is written.
            StopSignal = SigInt,
            DeathSignal = "QUIT",
        };
    }

    private static string Programs()
    {
        const string Debian = "/usr/lib/postgresql";
        var newest = Directory.Exists(Debian)
            ? Directory.EnumerateDirectories(Debian)
                .Where(static directory => File.Exists(Path.Combine(directory, "bin", "initdb")))
                .MaxBy(static directory => int.TryParse(Path.GetFileName(directory), out var major) ? major : 0)
            : null;
        return newest is not null ? Path.Combine(newest, "bin")
            : Executables.TryFind("initdb") is { } initdb ? Path.GetDirectoryName(new FileInfo(initdb).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? initdb)!
            : throw new DistributedApplicationException("PostgreSQL is not installed: no 'initdb' below /usr/lib/postgresql or in PATH.");
    }

    private async Task InitializeAsync(string programs, string data, string temporary, string? user, CancellationToken cancellationToken)
    {
        var passwordFile = Path.Combine(temporary, "password");
        await WritePrivatelyAsync(passwordFile, await server.PasswordParameter.GetValueAsync(cancellationToken).ConfigureAwait(false) ?? "", cancellationToken).ConfigureAwait(false);
        await GiveAsync(passwordFile, user, cancellationToken).ConfigureAwait(false);
        try
        {
            var userName = await server.UserNameReference.GetValueAsync(cancellationToken).ConfigureAwait(false);
            await LocalProcess.RunAsync(
                new LocalCommand(
                    Path.Combine(programs, "initdb"),
                    ["-D", data, "-U", userName ?? "postgres", "--pwfile", passwordFile, "--auth", "scram-sha-256", "-E", "UTF8", "--locale", "C.UTF-8", "--no-sync"])
                {
                    User = user,
                    WorkingDirectory = temporary,
                },
                cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            File.Delete(passwordFile);
        }
    }

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

    private static async Task GiveAsync(string path, string? user, CancellationToken cancellationToken)
    {
        if (user is not null)
        {
            await LocalProcess.RunAsync(new LocalCommand("chown", ["-R", $"{user}:", path]), cancellationToken).ConfigureAwait(false);
        }
    }

    [LoggerMessage(LogLevel.Information, "Creating a data directory at {Directory}")]
    private static partial void LogCreating(ILogger logger, string directory);
}
