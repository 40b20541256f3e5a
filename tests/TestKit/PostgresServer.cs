using System.Globalization;
using Npgsql;

namespace RuleEngineNats.TestKit;

/// <summary>A real PostgreSQL server with a data directory of its own, run by an ordinary user.</summary>
public sealed class PostgresServer : IAsyncDisposable
{
    private const string Template = "rules_template";

    private static readonly Lazy<Task<PostgresServer>> Shared = new(() => StartPrivateAsync());

    private readonly TemporaryFolder _folder;
    private readonly string[] _settings;
    private readonly SemaphoreSlim _creating = new(1, 1);
    private ChildProcess _process;
    private bool _templateExists;
    private int _databases;

    private PostgresServer(TemporaryFolder folder, int port, string[] settings)
    {
        (_folder, Port, _settings) = (folder, port, settings);
        _process = Launch();
    }

    public int Port { get; }

    public string Output => _process.Output;

    private string DataDirectory => Path.Combine(_folder.Path, "data");

    /// <summary>The server that all tests of this process share; it ends with the process.</summary>
    public static Task<PostgresServer> StartAsync(CancellationToken cancellationToken = default) => Shared.Value.WaitAsync(cancellationToken);

    /// <summary>Whether the server that is installed has the files of an extension.</summary>
    public static bool Offers(string extension)
    {
        var binaries = Path.GetDirectoryName(Binary("postgres"))!;
        string[] shared = [binaries.Replace("/lib/", "/share/", StringComparison.Ordinal).Replace("/bin", "", StringComparison.Ordinal), Path.Combine(binaries, "../share/postgresql")];
        return shared.Any(folder => File.Exists(Path.Combine(folder, "extension", $"{extension}.control")));
    }

    /// <summary>A server of the caller's own, to kill or to configure.</summary>
    /// <param name="settings">Server settings such as <c>wal_level=replica</c>; they win over the defaults here.</param>
    public static async Task<PostgresServer> StartPrivateAsync(string[]? settings = null, CancellationToken cancellationToken = default)
    {
        var folder = TemporaryFolder.Create("postgres-");
        if (Environment.IsPrivilegedProcess)
        {
            await RunAsync("chown", ["postgres", folder.Path], asOwner: false);
        }

        var data = Path.Combine(folder.Path, "data");
        await RunAsync(Binary("initdb"), ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"]);
        var server = new PostgresServer(folder, Ports.Free(), settings ?? []);
        await server.AnswersAsync(cancellationToken);
        return server;
    }

    /// <summary>
    /// Where a program of the installed PostgreSQL is: Debian keeps them out of the PATH. RULE_POSTGRES_BIN names a folder with the programs of another version; what it
    /// has not is the installed one's.
    /// </summary>
    public static string Binary(string name)
    {
        if (Environment.GetEnvironmentVariable("RULE_POSTGRES_BIN") is { } chosen && File.Exists(Path.Combine(chosen, name)))
        {
            return Path.Combine(chosen, name);
        }

        const string Debian = "/usr/lib/postgresql";
        var newest = Directory.Exists(Debian)
            ? Directory.GetDirectories(Debian).OrderByDescending(folder => int.TryParse(Path.GetFileName(folder), out var version) ? version : 0).FirstOrDefault()
            : null;
        return newest is not null && File.Exists(Path.Combine(newest, "bin", name)) ? Path.Combine(newest, "bin", name) : name;
    }

    public string ConnectionString(string database) => new NpgsqlConnectionStringBuilder
    {
        Host = "127.0.0.1",
        Port = Port,
        Username = "postgres",
        Database = database,
        MaxPoolSize = 40,
        IncludeErrorDetail = true,
    }.ConnectionString;

    /// <summary>A fresh database with all of sql/ applied, and its connection string.</summary>
    public async Task<string> CreateDatabaseAsync(CancellationToken cancellationToken = default)
    {
        await _creating.WaitAsync(cancellationToken);
        try
        {
            if (!_templateExists)
            {
                await ExecuteAsync($"CREATE DATABASE {Template}", cancellationToken);
                await using var migrator = ChildProcess.Start("dotnet", [Repository.Service("SchemaMigrator")],
                    new Dictionary<string, string?> { ["ConnectionStrings__rules"] = ConnectionString(Template) + ";Pooling=false" });
                await migrator.ExitedAsync();
                if (migrator.ExitCode != 0)
                {
                    throw new InvalidOperationException($"the schema migrator failed:\n{migrator.Output}");
                }

                _templateExists = true;
            }

            var name = string.Create(CultureInfo.InvariantCulture, $"rules_{Environment.ProcessId}_{++_databases}");
            await ExecuteAsync($"CREATE DATABASE {name} TEMPLATE {Template}", cancellationToken);
            return ConnectionString(name);
        }
        finally
        {
            _creating.Release();
        }
    }

    /// <summary>An empty database, and its connection string.</summary>
    public async Task<string> CreateEmptyDatabaseAsync(CancellationToken cancellationToken = default)
    {
        var name = string.Create(CultureInfo.InvariantCulture, $"empty_{Environment.ProcessId}_{Interlocked.Increment(ref _databases)}");
        await ExecuteAsync($"CREATE DATABASE {name}", cancellationToken);
        return ConnectionString(name);
    }

    /// <summary><c>kill -9</c> of the postmaster; PostgreSQL recovers from its WAL at the next start.</summary>
    public async Task KillAsync()
    {
        await _process.KillAsync();
        // Its children end by themselves once they notice; until then the data directory is in use.
        await Wait.UntilAsync(() => !File.Exists($"/proc/{_process.Id}/stat"), "the postmaster is gone");
    }

    public async Task RestartAsync(CancellationToken cancellationToken = default)
    {
        await _process.DisposeAsync();
        await Wait.UntilAsync(
            async () =>
            {
                _process = Launch();
                await AnswersAsync(cancellationToken);
                return true;
            },
            "PostgreSQL restarts",
            cancellationToken: cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        await _process.DisposeAsync();
        await _folder.DisposeAsync();
        _creating.Dispose();
    }

    // PostgreSQL refuses to run as root.
    private static (string Command, string[] Arguments) AsOwner(string command, string[] arguments) => Environment.IsPrivilegedProcess
        ? ("setpriv", ["--reuid=postgres", "--regid=postgres", "--clear-groups", command, .. arguments])
        : (command, arguments);

    private static async Task RunAsync(string command, string[] arguments, bool asOwner = true)
    {
        if (asOwner)
        {
            (command, arguments) = AsOwner(command, arguments);
        }

        await using var process = ChildProcess.Start(command, arguments);
        await process.ExitedAsync();
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException($"{command} ended with {process.ExitCode}:\n{process.Output}");
        }
    }

    private ChildProcess Launch()
    {
        string[] defaults =
        [
            $"port={Port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", "wal_level=logical", "fsync=off",
            "max_connections=300", "max_replication_slots=64", "max_wal_senders=64", "max_prepared_transactions=16",
        ];
        var (command, arguments) = AsOwner(Binary("postgres"),
            ["-D", DataDirectory, .. defaults.Concat(_settings).SelectMany(setting => (string[])["-c", setting])]);
        return ChildProcess.Start(command, arguments);
    }

    private async Task ExecuteAsync(string sql, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(ConnectionString("postgres") + ";Pooling=false");
        await connection.OpenAsync(cancellationToken);
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 120 };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private async Task AnswersAsync(CancellationToken cancellationToken) => await Wait.UntilAsync(
        async () =>
        {
            if (_process.HasExited)
            {
                throw new InvalidOperationException($"postgres ended with {_process.ExitCode}:\n{_process.Output}");
            }

            await ExecuteAsync("SELECT 1", cancellationToken);
            return true;
        },
        $"PostgreSQL answers on {Port}",
        cancellationToken: cancellationToken);
}
