using System.Text;
using System.Threading.Channels;
using NATS.Client.Core;

namespace NATS.Net.Tests;

/// <summary>A server in memory that answers a handshake and then says exactly these bytes in exactly these reads.</summary>
internal sealed class ScriptedSocket : INatsSocketConnection, INatsSocketConnectionFactory
{
    private readonly Channel<ReadOnlyMemory<byte>> _toClient = Channel.CreateUnbounded<ReadOnlyMemory<byte>>();
    private readonly StringBuilder _fromClient = new();
    private ReadOnlyMemory<byte> _rest;

    public ScriptedSocket() => Say("INFO {\"server_id\":\"X\",\"version\":\"2.10.0\",\"proto\":1,\"headers\":true,\"max_payload\":8388608,\"client_id\":7}\r\n");

    public string Heard
    {
        get
        {
            lock (_fromClient)
            {
                return _fromClient.ToString();
            }
        }
    }

    public NatsOpts Opts => new() { Url = "nats://scripted:4222", SocketConnectionFactory = this, PingInterval = TimeSpan.Zero };

    public void Say(ReadOnlyMemory<byte> bytes) => _toClient.Writer.TryWrite(bytes);

    public void Say(string text) => Say(Encoding.UTF8.GetBytes(text));

    public ValueTask<INatsSocketConnection> ConnectAsync(Uri uri, NatsOpts opts, CancellationToken cancellationToken) => new(this);

    public ValueTask<int> SendAsync(ReadOnlyMemory<byte> buffer)
    {
        var text = Encoding.UTF8.GetString(buffer.Span);
        lock (_fromClient)
        {
            _fromClient.Append(text);
        }

        if (text.Contains("PING\r\n", StringComparison.Ordinal))
        {
            Say("PONG\r\n");
        }

        return new(buffer.Length);
    }

    // One chunk is never joined with the next: each is a read of its own.
    public async ValueTask<int> ReceiveAsync(Memory<byte> buffer)
    {
        if (_rest.IsEmpty)
        {
            if (!await _toClient.Reader.WaitToReadAsync())
            {
                return 0;
            }

            _toClient.Reader.TryRead(out _rest);
        }

        var count = Math.Min(buffer.Length, _rest.Length);
        _rest[..count].CopyTo(buffer);
        _rest = _rest[count..];
        return count;
    }

    public ValueTask DisposeAsync()
    {
        _toClient.Writer.TryComplete();
        return default;
    }
}
