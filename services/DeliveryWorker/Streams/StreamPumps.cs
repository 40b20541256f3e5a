using MassTransit.Transports;
using Microsoft.Extensions.Options;
using RuleEngineNats.DeliveryWorker.Delivery;
using RuleEngineNats.DeliveryWorker.Shutdown;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.DeliveryWorker.Streams;

/// <summary>Keeps one pump for each enabled stream definition, as the configuration changes.</summary>
internal sealed class StreamPumps(
    ConfigWatcher configuration, NatsConnections connections, IReceiveEndpointDispatcher<DeliverEvent> dispatcher, Drain drain,
    IOptions<DeliveryOptions> options, TimeProvider time, ILogger<StreamPump> logger) : BackgroundService
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(500);

    private readonly Dictionary<(string Config, string Stream), Running> _running = [];
    private volatile StreamPump[] _pumps = [];

    public IReadOnlyList<StreamPump> Pumps => _pumps;

    /// <summary>Whether the pumps of the first snapshot are running.</summary>
    public bool Following { get; private set; }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        ConfigSnapshot? seen = null;
        while (!drain.Stop.IsCancellationRequested)
        {
            var newest = configuration.Current;
            if (configuration.HasSnapshot && !ReferenceEquals(newest, seen))
            {
                seen = newest;
                Follow(newest);
                Following = true;
            }

            await Task.Delay(LookEvery, time, drain.Stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await Task.WhenAll(_running.Values.Select(running => running.Task));
        foreach (var running in _running.Values)
        {
            running.Stop.Dispose();
            running.Pump.Dispose();
        }
    }

    private void Follow(ConfigSnapshot snapshot)
    {
        HashSet<(string Config, string Stream)> wanted =
        [
            .. from stream in snapshot.Streams
               where stream.Enabled && snapshot.ConfigsById.GetValueOrDefault(stream.ConfigId) is { Enabled: true, JetStreamEnabled: true }
               select (snapshot.ConfigsById[stream.ConfigId].Name, stream.Name),
        ];
        foreach (var (name, running) in _running)
        {
            if (!wanted.Contains(name))
            {
                running.Stop.Cancel();
            }
        }

        foreach (var name in wanted)
        {
            if (!_running.TryGetValue(name, out var running) || running.Stop.IsCancellationRequested)
            {
                _running[name] = Run(name);
            }
        }

        _pumps = [.. _running.Values.Where(running => !running.Stop.IsCancellationRequested).Select(running => running.Pump)];
    }

    private Running Run((string Config, string Stream) name)
    {
        var stop = CancellationTokenSource.CreateLinkedTokenSource(drain.Stop);
        var pump = new StreamPump(name.Stream, connections.Get(name.Config).Next, dispatcher, options.Value, drain, time, logger);
        return new(pump, stop, pump.RunAsync(stop.Token));
    }

    private sealed record Running(StreamPump Pump, CancellationTokenSource Stop, Task Task);
}
