using System.Threading.Channels;
using Grpc.Core;
using Grpc.Health.V1;
using static Grpc.Health.V1.HealthCheckResponse.Types;

namespace Grpc.HealthCheck;

/// <summary>Serves the statuses that the application sets, and tells watchers of each change.</summary>
public class HealthServiceImpl : Health.V1.Health.HealthBase
{
    // A watcher that reads slowly keeps the newest few changes and skips the older ones.
    private const int PendingChanges = 5;

    private readonly Lock _gate = new();
    private readonly Dictionary<string, ServingStatus> _statuses = [];
    private readonly Dictionary<string, HashSet<ChannelWriter<HealthCheckResponse>>> _watchers = [];

    public void SetStatus(string service, ServingStatus status)
    {
        ArgumentNullException.ThrowIfNull(service);
        lock (_gate)
        {
            var before = StatusOf(service);
            _statuses[service] = status;
            Announce(service, before, status);
        }
    }

    public void ClearStatus(string service)
    {
        ArgumentNullException.ThrowIfNull(service);
        lock (_gate)
        {
            var before = StatusOf(service);
            _statuses.Remove(service);
            Announce(service, before, ServingStatus.ServiceUnknown);
        }
    }

    public void ClearAll()
    {
        lock (_gate)
        {
            foreach (var service in _statuses.Keys.ToArray())
            {
                ClearStatus(service);
            }
        }
    }

    public override Task<HealthCheckResponse> Check(HealthCheckRequest request, ServerCallContext context)
    {
        lock (_gate)
        {
            return _statuses.TryGetValue(request.Service, out var status)
                ? Task.FromResult(new HealthCheckResponse { Status = status })
                : throw new RpcException(new Status(StatusCode.NotFound, ""));
        }
    }

    public override async Task Watch(HealthCheckRequest request, IServerStreamWriter<HealthCheckResponse> responseStream, ServerCallContext context)
    {
        if (context.CancellationToken.IsCancellationRequested)
        {
            return;
        }

        var changes = Channel.CreateBounded<HealthCheckResponse>(
            new BoundedChannelOptions(PendingChanges) { SingleReader = true, FullMode = BoundedChannelFullMode.DropOldest });
        HealthCheckResponse current;

        // One lock for both, or a change between reading the status and joining the watchers would be missed.
        lock (_gate)
        {
            current = new HealthCheckResponse { Status = StatusOf(request.Service) };
            if (!_watchers.TryGetValue(request.Service, out var writers))
            {
                _watchers[request.Service] = writers = [];
            }

            writers.Add(changes.Writer);
        }

        await using var stop = context.CancellationToken.Register(() => changes.Writer.TryComplete()).ConfigureAwait(false);
        try
        {
            await responseStream.WriteAsync(current).ConfigureAwait(false);

            // Cancelling completes the channel, so a watch ends without an exception, after what is already queued.
            await foreach (var change in changes.Reader.ReadAllAsync(CancellationToken.None).ConfigureAwait(false))
            {
                await responseStream.WriteAsync(change).ConfigureAwait(false);
            }
        }
        finally
        {
            lock (_gate)
            {
                var writers = _watchers[request.Service];
                writers.Remove(changes.Writer);
                if (writers.Count == 0)
                {
                    _watchers.Remove(request.Service);
                }
            }
        }
    }

    private ServingStatus StatusOf(string service) =>
        _statuses.TryGetValue(service, out var status) ? status : ServingStatus.ServiceUnknown;

    private void Announce(string service, ServingStatus before, ServingStatus after)
    {
        if (before != after && _watchers.TryGetValue(service, out var writers))
        {
            foreach (var writer in writers)
            {
                writer.TryWrite(new HealthCheckResponse { Status = after });
            }
        }
    }
}
