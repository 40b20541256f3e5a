using System.Net;
using System.Net.Sockets;
using System.Text;

namespace RuleEngineNats.DeliveryWorker.Tests.Delivery;

/// <summary>Answers every connection with the same bytes, HTTP or not, and closes it.</summary>
internal sealed class RawServer : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _serving;

    private RawServer(string answer, TimeSpan byteEvery)
    {
        _listener.Start();
        _serving = ServeAsync(Encoding.ASCII.GetBytes(answer), byteEvery);
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public static RawServer Start(string answer, TimeSpan byteEvery = default) => new(answer, byteEvery);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        await _serving.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private async Task ServeAsync(byte[] answer, TimeSpan byteEvery)
    {
        while (!_stop.IsCancellationRequested)
        {
            using var client = await _listener.AcceptTcpClientAsync(_stop.Token);
            try
            {
                var stream = client.GetStream();
                var request = new byte[64 * 1024];
                var text = string.Empty;
                while (!text.Contains("{}", StringComparison.Ordinal))
                {
                    var read = await stream.ReadAsync(request, _stop.Token);
                    if (read == 0)
                    {
                        break;
                    }

                    text += Encoding.ASCII.GetString(request, 0, read);
                }

                foreach (var chunk in byteEvery == default ? [answer] : answer.Chunk(1))
                {
                    await stream.WriteAsync(chunk, _stop.Token);
                    if (byteEvery != default)
                    {
                        await Task.Delay(byteEvery, _stop.Token);
                    }
                }

                client.Client.Shutdown(SocketShutdown.Both);
            }
            catch (IOException)
            {
                // The other side has had enough.
            }
            catch (SocketException)
            {
                // The same.
            }
        }
    }
}
