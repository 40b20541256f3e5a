using System.Net.Sockets;

namespace RuleEngineNats.TestKit;

/// <param name="MaxPayload">Largest message in bytes, the server's <c>max_payload</c>.</param>
/// <param name="Configuration">Further lines of nats-server.conf: users, TLS, limits.</param>
/// <param name="Store">Where JetStream keeps its files, and <paramref name="JetStream"/> further settings of it.</param>
public sealed record NatsServerOptions(int MaxPayload = 1_048_576, string Configuration = "", string? Store = null, string JetStream = "");

/// <summary>A real nats-server with JetStream on a port and a store of its own; a restart keeps both.</summary>
public sealed class NatsServer : IAsyncDisposable
{
    private readonly TemporaryFolder _folder;
    private ChildProcess _process;

    private NatsServer(TemporaryFolder folder, int port, ChildProcess process)
        => (_folder, Port, _process) = (folder, port, process);

    public int Port { get; }

    public string Url => $"nats://127.0.0.1:{Port}";

    public string Output => _process.Output;

    public static async Task<NatsServer> StartAsync(NatsServerOptions? options = null, CancellationToken cancellationToken = default)
    {
        options ??= new();
        var folder = TemporaryFolder.Create("nats-");
        var port = Ports.Free();
        await File.WriteAllTextAsync(Path.Combine(folder.Path, "nats.conf"), $$"""
            listen: "127.0.0.1:{{port}}"
            max_payload: {{options.MaxPayload}}
            jetstream { store_dir: "{{options.Store ?? folder.Path}}"
            {{options.JetStream}} }
            {{options.Configuration}}
            """, cancellationToken);
        var server = new NatsServer(folder, port, Launch(folder));
        await server.ListensAsync(cancellationToken);
        return server;
    }

    /// <summary><c>kill -9</c>: what was acknowledged and only in the page cache survives, as after a crash of the process.</summary>
    public Task KillAsync() => _process.KillAsync();

    /// <summary>
    /// SIGTERM, as soon as the place of a consumer is in its file: on a busy machine nats-server may end without having written the last moments of it
    /// (seen with 2.10).
    /// </summary>
    /// <param name="acknowledged">Every message up to this one is acknowledged.</param>
    public async Task StopAsync(string stream, string consumer, long acknowledged)
    {
        var folder = Directory.GetDirectories(Path.Combine(_folder.Path, "jetstream"), stream, SearchOption.AllDirectories).Single();
        var place = Path.Combine(folder, "obs", consumer, "o.dat");
        await Wait.UntilAsync(() => AcknowledgedIn(place) == acknowledged, $"{place} says {acknowledged}");
        await _process.TerminateAsync();
    }

    /// <summary>Starts it again on the same port and store.</summary>
    public async Task RestartAsync(CancellationToken cancellationToken = default)
    {
        await _process.DisposeAsync();
        _process = Launch(_folder);
        await ListensAsync(cancellationToken);
    }

    /// <summary>Keeps what the store holds now; the server must not run.</summary>
    public void CopyStore() => Copy(Path.Combine(_folder.Path, "jetstream"), Path.Combine(_folder.Path, "copy"));

    /// <summary>Puts <see cref="CopyStore"/>'s copy back, as if the disk had never got what came after; the server must not run.</summary>
    /// <param name="withConsumers">False leaves the consumers where they are, ahead of their stream.</param>
    public void RestoreStore(bool withConsumers = true)
    {
        var (copy, store) = (Path.Combine(_folder.Path, "copy"), Path.Combine(_folder.Path, "jetstream"));
        foreach (var messages in withConsumers ? [copy] : Directory.GetDirectories(copy, "msgs", SearchOption.AllDirectories))
        {
            Copy(messages, Path.Combine(store, Path.GetRelativePath(copy, messages)));
        }
    }

    /// <summary>The disk never got the stream itself, and did get the places of its consumers; the server must not run.</summary>
    public void LoseStream(string name)
    {
        var stream = Directory.GetDirectories(Path.Combine(_folder.Path, "jetstream"), name, SearchOption.AllDirectories).Single();
        Directory.Delete(Path.Combine(stream, "msgs"), recursive: true);
        foreach (var meta in Directory.GetFiles(stream, "meta.*", SearchOption.AllDirectories))
        {
            File.Delete(meta);
        }
    }

    public void Pause() => _process.Pause();

    public void Resume() => _process.Resume();

    public async ValueTask DisposeAsync()
    {
        await _process.DisposeAsync();
        await _folder.DisposeAsync();
    }

    // Two bytes that say what it is, then numbers of 7 bits a byte: the last acknowledged delivery, the sequence of its message, and further ones.
    private static long AcknowledgedIn(string place)
    {
        using var reader = new BinaryReader(File.OpenRead(place));
        reader.ReadInt16();
        reader.Read7BitEncodedInt64();
        return reader.Read7BitEncodedInt64();
    }

    private static void Copy(string from, string to)
    {
        if (Directory.Exists(to))
        {
            Directory.Delete(to, recursive: true);
        }

        Directory.CreateDirectory(to);
        foreach (var folder in Directory.GetDirectories(from, "*", SearchOption.AllDirectories))
        {
            Directory.CreateDirectory(Path.Combine(to, Path.GetRelativePath(from, folder)));
        }

        foreach (var file in Directory.GetFiles(from, "*", SearchOption.AllDirectories))
        {
            File.Copy(file, Path.Combine(to, Path.GetRelativePath(from, file)));
        }
    }

    private static ChildProcess Launch(TemporaryFolder folder)
        => ChildProcess.Start("nats-server", ["-c", Path.Combine(folder.Path, "nats.conf")]);

    private Task ListensAsync(CancellationToken cancellationToken) => Wait.UntilAsync(
        async () =>
        {
            if (_process.HasExited)
            {
                throw new InvalidOperationException($"nats-server ended with {_process.ExitCode}:\n{_process.Output}");
            }

            using var client = new TcpClient();
            await client.ConnectAsync("127.0.0.1", Port, cancellationToken);
            // The first line a client gets is INFO; with JetStream on it says so.
            using var reader = new StreamReader(client.GetStream());
            var info = await reader.ReadLineAsync(cancellationToken);
            return info?.Contains("\"jetstream\":true", StringComparison.Ordinal) == true;
        },
        $"nats-server listens on {Port}",
        cancellationToken: cancellationToken);
}
