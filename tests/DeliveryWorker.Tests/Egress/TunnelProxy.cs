using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace RuleEngineNats.DeliveryWorker.Tests.Egress;

/// <summary>A forward proxy that keeps what it was asked for and connects, or answers every CONNECT with a refusal or with other bytes.</summary>
internal sealed class TunnelProxy : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentQueue<string> _heads = new();
    private readonly string? _answer;
    private readonly Task _serving;

    private TunnelProxy(string? answer)
    {
        _answer = answer;
        _listener.Start();
        _serving = ServeAsync();
    }

    public string Url => string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}");

    public IEnumerable<string> Heads => _heads;

    public IEnumerable<string> Targets => _heads.Select(head => head.Split(' ')[1]);

    public static TunnelProxy Start(string? refuseWith = null, string? answer = null)
        => new(refuseWith is null ? answer : $"HTTP/1.1 {refuseWith}\r\nContent-Length: 0\r\n\r\n");

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        await _serving.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private async Task ServeAsync()
    {
        var tunnels = new List<Task>();
        try
        {
            while (true)
            {
                tunnels.Add(TunnelAsync(await _listener.AcceptTcpClientAsync(_stop.Token)));
            }
        }
        finally
        {
            await Task.WhenAll(tunnels).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task TunnelAsync(TcpClient client)
    {
        using var _ = client;
        var from = client.GetStream();
        var head = new StringBuilder();
        var one = new byte[1];
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal) && await from.ReadAsync(one, _stop.Token) == 1)
        {
            head.Append((char)one[0]);
        }

        _heads.Enqueue(head.ToString());
        if (_answer is not null)
        {
            await from.WriteAsync(Encoding.ASCII.GetBytes(_answer), _stop.Token);
            return;
        }

        using var target = new TcpClient();
        await target.ConnectAsync(IPEndPoint.Parse(head.ToString().Split(' ')[1]), _stop.Token);
        await from.WriteAsync("HTTP/1.1 200 Connection established\r\nX-Proxy: 1\r\n\r\n"u8.ToArray(), _stop.Token);
        var to = target.GetStream();
        await Task.WhenAny(from.CopyToAsync(to, _stop.Token), to.CopyToAsync(from, _stop.Token));
    }
}
