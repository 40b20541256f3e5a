using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace RuleEngineNats.TestKit;

/// <summary>A TCP proxy before a server of this machine: what either side says can be seen, changed, or met with a cut.</summary>
public sealed class TcpProxy : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly int _target;
    private readonly Task _accepting;
    private Func<byte[], byte[]?> _answer = static bytes => bytes;
    private Func<byte[], byte[]?> _ask = static bytes => bytes;

    private TcpProxy(int target)
    {
        _target = target;
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public string Url => string.Create(CultureInfo.InvariantCulture, $"nats://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}");

    public static TcpProxy Before(NatsServer server) => new(server.Port);

    /// <summary>What becomes of each piece that the server sends: the bytes that go on, or null to cut the connection instead.</summary>
    public void Answer(Func<byte[], byte[]?> answer) => Volatile.Write(ref _answer, answer);

    /// <summary>The same for each piece that a client sends.</summary>
    public void Ask(Func<byte[], byte[]?> ask) => Volatile.Write(ref _ask, ask);

    public void AnswerUnchanged() => Answer(static bytes => bytes);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        await _accepting;
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        var connections = new List<Task>();
        try
        {
            while (true)
            {
                connections.Add(ForwardAsync(await _listener.AcceptTcpClientAsync(_stop.Token)));
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException)
        {
            await Task.WhenAll(connections);
        }
    }

    private async Task ForwardAsync(TcpClient client)
    {
        using (client)
        using (var server = new TcpClient())
        using (var cut = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token))
        {
            try
            {
                await server.ConnectAsync(IPAddress.Loopback, _target, cut.Token);
                // The first to end cuts the other: a half of a connection is of no use to NATS.
                var ended = await Task.WhenAny(
                    CopyAsync(client.GetStream(), server.GetStream(), bytes => Volatile.Read(ref _ask)(bytes), cut.Token),
                    CopyAsync(server.GetStream(), client.GetStream(), bytes => Volatile.Read(ref _answer)(bytes), cut.Token));
                await cut.CancelAsync();
                await ended;
            }
            catch (Exception e) when (e is IOException or SocketException or OperationCanceledException)
            {
                // Either side is gone.
            }
        }
    }

    private static async Task CopyAsync(NetworkStream from, NetworkStream to, Func<byte[], byte[]?> change, CancellationToken cancellationToken)
    {
        var buffer = new byte[64 * 1024];
        int read;
        while ((read = await from.ReadAsync(buffer, cancellationToken)) > 0)
        {
            if (change(buffer[..read]) is not { } bytes)
            {
                return;
            }

            await to.WriteAsync(bytes, cancellationToken);
        }
    }
}
