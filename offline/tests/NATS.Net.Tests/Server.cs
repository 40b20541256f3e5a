using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace NATS.Net.Tests;

/// <summary>A real nats-server of its own, with its own port, configuration and store.</summary>
public sealed class Server : IAsyncDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("nats-test-").FullName;
    private readonly string _config;
    private Process _process;

    private Server(string config, string host)
    {
        Port = FreePort();
        Host = host;
        _config = Path.Combine(_directory, "nats.conf");
        File.WriteAllText(_config, $"host: 127.0.0.1\nport: {Port}\n" + config.Replace("{dir}", _directory));
        _process = Launch();
    }

    public int Port { get; }

    public string Host { get; }

    public string Url => $"nats://{Host}:{Port}";

    public static async Task<Server> StartAsync(string config = "", bool jetStream = false, string host = "127.0.0.1")
    {
        var server = new Server(jetStream ? config + "\njetstream { store_dir: \"{dir}/js\" }\n" : config, host);
        await server.ReadyAsync();
        return server;
    }

    /// <summary>kill -9.</summary>
    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    /// <summary>Again, on the same port and store.</summary>
    public async Task RestartAsync()
    {
        _process = Launch();
        await ReadyAsync();
    }

    public Task PauseAsync() => RunAsync("kill", "-STOP", _process.Id.ToString());

    public Task ContinueAsync() => RunAsync("kill", "-CONT", _process.Id.ToString());

    public Task LameDuckAsync() => RunAsync("nats-server", "--signal", $"ldm={_process.Id}");

    public async ValueTask DisposeAsync()
    {
        try
        {
            if (!_process.HasExited)
            {
                await KillAsync();
            }
        }
        catch (InvalidOperationException)
        {
            // Killed by the test already.
        }

        Directory.Delete(_directory, recursive: true);
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static async Task RunAsync(string file, params string[] args)
    {
        using var process = Process.Start(file, args);
        await process.WaitForExitAsync();
        Assert.Equal(0, process.ExitCode);
    }

    private Process Launch() =>
        Process.Start(new ProcessStartInfo("nats-server", ["-c", _config, "-l", Path.Combine(_directory, "log"), "-P", Path.Combine(_directory, "pid")]))!;

    private Task ReadyAsync() => Poll.UntilAsync(async () =>
    {
        if (_process.HasExited)
        {
            throw new InvalidOperationException("nats-server ended: " + await File.ReadAllTextAsync(Path.Combine(_directory, "log")));
        }

        try
        {
            using var socket = new TcpClient();
            await socket.ConnectAsync(IPAddress.Loopback, Port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    });
}

/// <summary>One server for all tests of a class.</summary>
public sealed class JetStreamServer : IAsyncLifetime
{
    private Server? _server;

    public string Url => _server!.Url;

    public async Task InitializeAsync() => _server = await Server.StartAsync(jetStream: true);

    public async Task DisposeAsync() => await _server!.DisposeAsync();
}

public static class Poll
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(40);

    public static async Task UntilAsync(Func<Task<bool>> condition)
    {
        var started = Stopwatch.GetTimestamp();
        while (!await condition())
        {
            Assert.True(Stopwatch.GetElapsedTime(started) < Deadline, "It did not happen in time");
            await Task.Delay(20);
        }
    }

    public static Task UntilAsync(Func<bool> condition) => UntilAsync(() => Task.FromResult(condition()));

    /// <summary>For awaits that must end by themselves.</summary>
    public static Task<T> InTime<T>(this Task<T> task) => task.WaitAsync(Deadline);

    public static Task InTime(this Task task) => task.WaitAsync(Deadline);

    public static Task<T> InTime<T>(this ValueTask<T> task) => task.AsTask().WaitAsync(Deadline);

    public static Task InTime(this ValueTask task) => task.AsTask().WaitAsync(Deadline);

    public static CancellationToken Token() => new CancellationTokenSource(Deadline).Token;
}
