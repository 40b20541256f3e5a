using System.IO.Pipelines;
using System.Net.Sockets;
using System.Text.Json;
using NATS.Client.Core.Internal;

namespace NATS.Client.Core;

public partial class NatsConnection
{
    private ServerUri? _lastSeed;

    private async Task<(INatsSocketConnection Socket, ServerUri Uri)> OpenSocketAsync(ServerUri uri)
    {
        if (OnConnectingAsync is { } onConnecting)
        {
            var (host, port) = await onConnecting((uri.Host, uri.Port)).ConfigureAwait(false);
            uri = uri with { Uri = new UriBuilder(uri.Uri) { Host = host, Port = port }.Uri };
        }

        using var cts = CancellationTokenSource.CreateLinkedTokenSource(_disposing.Token);
        cts.CancelAfter(Opts.ConnectTimeout);
        INatsSocketConnection socket;
        try
        {
            socket = Opts.SocketConnectionFactory is { } factory
                ? await factory.ConnectAsync(uri.Uri, Opts, cts.Token).ConfigureAwait(false)
                : await TcpSocket.ConnectAsync(uri, cts.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!_disposing.IsCancellationRequested)
        {
            throw new SocketException((int)SocketError.TimedOut);
        }

        if (Opts.TlsOpts.EffectiveMode(uri) == TlsMode.Implicit && socket is INatsTlsUpgradeableSocketConnection plain)
        {
            socket = await TlsSocket.UpgradeAsync(plain, Opts.TlsOpts, TlsHost(uri), Opts.ConnectTimeout).ConfigureAwait(false);
        }

        if (OnSocketAvailableAsync is { } onSocket)
        {
            socket = await onSocket(socket).ConfigureAwait(false);
        }

        return (socket, uri);
    }

    /// <summary>INFO, TLS where it is due, CONNECT, what must be re-created, PING; open when the PONG is there.</summary>
    private async Task EstablishAsync(INatsSocketConnection socket, ServerUri uri, bool reconnect)
    {
        if (uri.IsSeed)
        {
            _lastSeed = uri;
        }

        Link? link = null;
        try
        {
            var pipe = NewPipe(socket);
            var reading = ProtocolReader.ReadInfoAsync(pipe);
            _ = reading.ContinueWith(static t => _ = t.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
            var info = await reading.WaitAsync(Opts.ConnectTimeout, _disposing.Token).ConfigureAwait(false);
            if (socket is INatsTlsUpgradeableSocketConnection plain && WantsTls(info, uri))
            {
                // INFO comes alone before TLS, so the pipe holds nothing that would be lost.
                socket = await TlsSocket.UpgradeAsync(plain, Opts.TlsOpts, TlsHost(uri), Opts.ConnectTimeout).ConfigureAwait(false);
                pipe = NewPipe(socket);
            }

            OnInfo(info, uri);
            var commands = new ReconnectCommands(Opts.SubjectEncoding);
            commands.Append("CONNECT "u8);
            commands.Append(JsonSerializer.SerializeToUtf8Bytes(await ConnectOptionsAsync(info, uri).ConfigureAwait(false), ProtocolJson.Default.ConnectOptions));
            commands.Append("\r\n"u8);
            commands.Append("PING\r\n"u8);
            link = new Link(this, socket, uri);
            link.Start(pipe);
            await link.HandshakeAsync(commands.Written, Opts.ConnectTimeout).ConfigureAwait(false);
            if (reconnect)
            {
                commands = new ReconnectCommands(Opts.SubjectEncoding);
                Subs.WriteReconnectCommands(commands);
                await link.SendAsync(commands.Written, Opts.ConnectTimeout).ConfigureAwait(false);
            }

            Open(link);
        }
        catch (Exception e)
        {
            NoteAuthError(e);
            if (link is not null)
            {
                await link.CloseAsync(e).ConfigureAwait(false);
                await link.DrainedAsync(Outbox).ConfigureAwait(false);
            }
            else
            {
                await socket.DisposeAsync().ConfigureAwait(false);
            }

            throw;
        }
    }

    private PipeReader NewPipe(INatsSocketConnection socket) =>
        PipeReader.Create(new SocketReadStream(socket), new StreamPipeReaderOptions(bufferSize: Opts.ReaderBufferSize, minimumReadSize: Math.Min(4096, Opts.ReaderBufferSize), leaveOpen: true));

    private bool WantsTls(ServerInfo info, ServerUri uri)
    {
        var mode = Opts.TlsOpts.EffectiveMode(uri);
        return mode switch
        {
            TlsMode.Disable when info.TlsRequired => throw new NatsException($"Server {uri} requires TLS but TlsMode is set to Disable"),
            TlsMode.Require when !info.TlsRequired && !info.TlsAvailable => throw new NatsException($"Server {uri} does not support TLS but TlsMode is set to Require"),
            TlsMode.Require or TlsMode.Prefer => info.TlsRequired || info.TlsAvailable,
            _ => false,
        };
    }

    // Servers tell each other's addresses as IPs, which certificates seldom name: then the name we were given counts.
    private string TlsHost(ServerUri uri) =>
        !uri.IsSeed && _lastSeed is { } seed
        && Uri.CheckHostName(uri.Host) != UriHostNameType.Dns && Uri.CheckHostName(seed.Host) == UriHostNameType.Dns
            ? seed.Host
            : uri.Host;

    private async ValueTask<ConnectOptions> ConnectOptionsAsync(ServerInfo info, ServerUri uri)
    {
        var connect = new ConnectOptions
        {
            Name = Opts.Name,
            Echo = Opts.Echo,
            Verbose = Opts.Verbose,
            Headers = Opts.Headers,
            NoResponders = true,
        };
        if (_credentials is not null)
        {
            await _credentials.ApplyAsync(connect, info, uri, Opts.ConnectTimeout, _disposing.Token).ConfigureAwait(false);
        }

        return connect;
    }

    private void NoteAuthError(Exception exception)
    {
        if (exception is not NatsServerException { IsAuthError: true } refused)
        {
            return;
        }

        lock (_gate)
        {
            // The same refusal twice will not change by asking again.
            _stopRetries = !Opts.IgnoreAuthErrorAbort && _lastAuthError == refused.Error;
            _lastAuthError = refused.Error;
        }
    }
}
