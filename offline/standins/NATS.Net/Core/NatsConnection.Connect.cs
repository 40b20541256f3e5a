using Microsoft.Extensions.Logging;
using NATS.Client.Core.Internal;

namespace NATS.Client.Core;

public partial class NatsConnection
{
    private Credentials? _credentials;
    private string _lastAuthError = string.Empty;
    private bool _stopRetries;
    private int _retries;
    private TimeSpan _backoff;

    public async ValueTask ConnectAsync()
    {
        while (true)
        {
            TaskCompletionSource? waiter = null;
            lock (_gate)
            {
                ThrowIfDisposed();
                switch (ConnectionState)
                {
                    case NatsConnectionState.Open:
                        return;
                    case NatsConnectionState.Failed:
                        throw new NatsConnectionFailedException("Connection is in failed state");
                    case NatsConnectionState.Closed:
                        SetState(NatsConnectionState.Connecting);
                        break;
                    default:
                        waiter = _opened;
                        break;
                }
            }

            try
            {
                if (waiter is not null)
                {
                    await waiter.Task.ConfigureAwait(false);
                    return;
                }

                await ConnectFirstAsync().ConfigureAwait(false);
                return;
            }
            catch (NatsException e) when (e is not NatsConnectionFailedException && Opts.RetryOnInitialConnect)
            {
                await WaitBeforeRetryAsync().ConfigureAwait(false);
            }
        }
    }

    /// <summary>Drops the socket; the reconnect loop does the rest.</summary>
    public async ValueTask ReconnectAsync()
    {
        if (ConnectionState == NatsConnectionState.Open && _link is { } link)
        {
            LogForcedReconnect();
            await link.CloseAsync(new NatsException("Reconnection was asked for")).ConfigureAwait(false);
        }
    }

    private async Task ConnectFirstAsync()
    {
        try
        {
            var uris = Opts.SeedUris();
            foreach (var uri in uris)
            {
                if (uri.IsTls && Opts.TlsOpts.EffectiveMode(uri) == TlsMode.Disable)
                {
                    throw new NatsException($"URI {uri} requires TLS but TlsMode is set to Disable");
                }
            }

            _credentials = LoadCredentials();
            INatsSocketConnection? socket = null;
            ServerUri? chosen = null;
            foreach (var uri in uris)
            {
                try
                {
                    (socket, chosen) = await OpenSocketAsync(uri).ConfigureAwait(false);
                    break;
                }
                catch (Exception e)
                {
                    LogConnectFailed(e, uri);
                }
            }

            if (socket is null)
            {
                throw new NatsException("can not connect uris: " + string.Join(",", uris.Select(u => u.ToString())));
            }

            try
            {
                await EstablishAsync(socket, chosen!, reconnect: false).ConfigureAwait(false);
            }
            catch (Exception e)
            {
                throw new NatsException("can not start to connect nats server: " + chosen, e);
            }
        }
        catch (Exception e)
        {
            lock (_gate)
            {
                // A later call may try again.
                SetState(NatsConnectionState.Closed);
                Fail(_opened, e);
                _opened = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }

            throw;
        }
    }

    private Credentials? LoadCredentials()
    {
        try
        {
            return Opts.AuthOpts.IsAnonymous ? null : new Credentials(Opts.AuthOpts);
        }
        catch (Exception e) when (e is not NatsException)
        {
            throw new NatsException($"Failed to load credentials: {e.Message}", e);
        }
    }

    private void Open(Link link)
    {
        lock (_gate)
        {
            ThrowIfDisposed();
            _link = link;
            _retries = 0;
            _backoff = TimeSpan.Zero;
            _lastAuthError = string.Empty;
            Outbox.Attach(link.Socket, e => _ = link.CloseAsync(e).AsTask());
            SetState(NatsConnectionState.Open);
            _opened.TrySetResult();
        }

        LogOpened(Opts.Name, link.Uri);
        PushOpened(link.Uri);
        RunApart(() => WatchAsync(link));
        RunApart(() => KeepAliveAsync(link));
    }

    private async Task WatchAsync(Link link)
    {
        var reason = await link.Closed.ConfigureAwait(false);
        lock (_gate)
        {
            _link = null;
            if (!IsDisposed)
            {
                SetState(NatsConnectionState.Reconnecting);
                _opened = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }
        }

        PushDisconnected(link.Uri);
        await Outbox.DetachAsync().ConfigureAwait(false);
        await link.DrainedAsync(Outbox).ConfigureAwait(false);
        if (IsDisposed)
        {
            SetState(NatsConnectionState.Closed);
            return;
        }

        LogDisconnected(reason, Opts.Name, link.Uri);
        try
        {
            await ReconnectUntilOpenAsync(link.Uri).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            if (!IsDisposed)
            {
                LogGaveUp(e, Opts.Name);
            }

            lock (_gate)
            {
                Fail(_opened, e);
            }
        }
    }

    private async Task ReconnectUntilOpenAsync(ServerUri last)
    {
        var known = (_serverInfo?.ClientConnectUrls ?? []).Select(u => new ServerUri(u, isSeed: false, last.Uri.Scheme));
        ServerUri[] others = [.. known.Concat(Opts.SeedUris()).Distinct().Where(u => u != last)];
        if (!Opts.NoRandomize)
        {
            Random.Shared.Shuffle(others);
        }

        ServerUri[] uris = [.. others, last];
        for (var i = 0; ; i = (i + 1) % uris.Length)
        {
            ThrowIfDisposed();
            try
            {
                LogReconnecting(uris[i]);
                var (socket, uri) = await OpenSocketAsync(uris[i]).ConfigureAwait(false);
                await EstablishAsync(socket, uri, reconnect: true).ConfigureAwait(false);
                return;
            }
            catch (Exception e) when (!IsDisposed)
            {
                LogConnectFailed(e, uris[i]);
                PushReconnectFailed(uris[i]);
                await WaitBeforeRetryAsync().ConfigureAwait(false);
            }
        }
    }

    private async Task WaitBeforeRetryAsync()
    {
        TimeSpan wait;
        lock (_gate)
        {
            var doubled = _backoff == TimeSpan.Zero ? Opts.ReconnectWaitMin : TimeSpan.FromTicks(Math.Min(_backoff.Ticks * 2, Opts.ReconnectWaitMax.Ticks));
            _backoff = Opts.ReconnectWaitMin >= Opts.ReconnectWaitMax ? Opts.ReconnectWaitMin : doubled;
            var retry = _retries++;
            if (_stopRetries)
            {
                SetState(NatsConnectionState.Failed);
                throw new NatsConnectionFailedException("Maximum authentication attempts exceeded");
            }

            if (Opts.MaxReconnectRetry > 0 && retry > Opts.MaxReconnectRetry)
            {
                SetState(NatsConnectionState.Failed);
                throw new NatsConnectionFailedException("Maximum connection retry attempts exceeded");
            }

            wait = _backoff + (Random.Shared.NextDouble() * Opts.ReconnectJitter);
        }

        await Task.Delay(wait, _disposing.Token).ConfigureAwait(false);
    }

    private async Task KeepAliveAsync(Link link)
    {
        if (Opts.PingInterval <= TimeSpan.Zero)
        {
            return;
        }

        using var timer = new PeriodicTimer(Opts.PingInterval);
        while (!link.Closed.IsCompleted && !_disposing.IsCancellationRequested)
        {
            if (!link.TryKeepAlive(Outbox, Opts.MaxPingOut))
            {
                LogNoPong(link.Uri);
                await link.CloseAsync(new NatsException("The server did not answer our PINGs")).ConfigureAwait(false);
                return;
            }

            await Task.WhenAny(timer.WaitForNextTickAsync(_disposing.Token).AsTask(), link.Closed).ConfigureAwait(false);
        }
    }

    private static void Fail(TaskCompletionSource waiter, Exception exception)
    {
        waiter.TrySetException(exception);
        _ = waiter.Task.Exception;
    }

    [LoggerMessage(EventId = 1001, EventName = "Connection", Level = LogLevel.Information, Message = "Connected {Name}, NATS {Url}")]
    private partial void LogOpened(string name, ServerUri url);

    [LoggerMessage(EventId = 1001, EventName = "Connection", Level = LogLevel.Warning, Message = "Connection {Name} to NATS {Url} is closed; reconnecting")]
    private partial void LogDisconnected(Exception reason, string name, ServerUri url);

    [LoggerMessage(EventId = 1001, EventName = "Connection", Level = LogLevel.Information, Message = "Reconnecting to NATS {Url}")]
    private partial void LogReconnecting(ServerUri url);

    [LoggerMessage(EventId = 1001, EventName = "Connection", Level = LogLevel.Warning, Message = "Failed to connect NATS {Url}")]
    private partial void LogConnectFailed(Exception exception, ServerUri url);

    [LoggerMessage(EventId = 1001, EventName = "Connection", Level = LogLevel.Error, Message = "Connection {Name} gave up")]
    private partial void LogGaveUp(Exception exception, string name);

    [LoggerMessage(EventId = 1001, EventName = "Connection", Level = LogLevel.Information, Message = "NATS {Url} did not answer our PINGs")]
    private partial void LogNoPong(ServerUri url);

    [LoggerMessage(EventId = 1001, EventName = "Connection", Level = LogLevel.Information, Message = "Forcing reconnection to NATS server")]
    private partial void LogForcedReconnect();
}
