using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using RuleEngineNats.Contracts;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.Consumers;

/// <summary>Keeps one pump for each enabled stream definition that the consumer takes from, as the configuration changes.</summary>
/// <param name="takesFrom">Whether a definition of a configuration is one of them.</param>
/// <param name="work">What the pumps do.</param>
internal sealed partial class StreamPumps(
    Func<NatsConfig, StreamDefinition, bool> takesFrom, PumpWork work, ConfigWatcher configuration, NatsConnections connections, OpenConsumer open, Drain drain,
    TimeProvider time, ILogger<StreamPump> logger) : BackgroundService, ICountedPumps
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(500);

    private readonly Dictionary<(string Config, string Stream), Running> _running = [];
    private readonly List<Running> _leaving = [];
    private volatile StreamPump[] _pumps = [];

    public string Consumer => work.Definition.Name!;

    public IReadOnlyList<StreamPump> Pumps => _pumps;

    IReadOnlyList<ICountedPump> ICountedPumps.Pumps => _pumps;

    /// <summary>Whether the pumps of the first snapshot are running.</summary>
    public bool Following { get; private set; }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        ConfigSnapshot? looked = null;
        while (!drain.Stop.IsCancellationRequested)
        {
            if (configuration.HasSnapshot)
            {
                var newest = configuration.Current;
                Follow(newest);
                Following = true;
                // The reconciler's word comes with a change of the configuration; should that be missed, the regular refresh brings it.
                if (await LookAsync(again: !ReferenceEquals(newest, looked)))
                {
                    looked = newest;
                }
            }

            await Task.Delay(LookEvery, time, drain.Stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        foreach (var running in _leaving.Concat(_running.Values))
        {
            await running.EndAsync();
        }
    }

    private void Follow(ConfigSnapshot snapshot)
    {
        HashSet<(string Config, string Stream)> wanted =
        [
            .. from stream in snapshot.Streams
               where stream.Enabled && snapshot.ConfigsById.GetValueOrDefault(stream.ConfigId) is { Enabled: true, JetStreamEnabled: true } config && takesFrom(config, stream)
               select (snapshot.ConfigsById[stream.ConfigId].Name, stream.Name),
        ];
        // A pump whose configuration has changed finishes what it has in work on its own connections, while the next one pulls on the new ones.
        foreach (var (name, running) in _running)
        {
            if (!wanted.Contains(name) || running.Pool != connections.Get(name.Config))
            {
                running.Stop.Cancel();
                _running.Remove(name);
                _leaving.Add(running);
            }
        }

        foreach (var name in wanted.Except(_running.Keys).ToArray())
        {
            _running[name] = Run(name);
        }

        if (!_pumps.SequenceEqual(_running.Values.Select(running => running.Pump)))
        {
            _pumps = [.. _running.Values.Select(running => running.Pump)];
        }
    }

    private async Task<bool> LookAsync(bool again)
    {
        try
        {
            var restarts = again && Consumer == ConsumerNames.DeliveryWorker ? await open.RestartsAsync(drain.Stop) : [];
            foreach (var pump in _pumps)
            {
                await pump.LookAsync(restarts.Contains((pump.Config, pump.Stream)), drain.Stop);
            }

            return true;
        }
        catch (Exception e) when (e is NATS.Client.Core.NatsException or NpgsqlException or OperationCanceledException)
        {
            LogNotLooked(e.Message);
            return false;
        }
    }

    private Running Run((string Config, string Stream) name)
    {
        var stop = CancellationTokenSource.CreateLinkedTokenSource(drain.Stop);
        var pool = connections.Get(name.Config);
        var pump = new StreamPump(name.Config, name.Stream, pool.Next, open, work, drain, time, logger);
        return new(pump, pool, stop, RunAsync(pump, pool, stop.Token));
    }

    private static async Task RunAsync(StreamPump pump, NatsConnectionPool pool, CancellationToken stop)
    {
        using var use = pool.Begin();
        await pump.RunAsync(stop);
    }

    private sealed record Running(StreamPump Pump, NatsConnectionPool Pool, CancellationTokenSource Stop, Task Task)
    {
        public async Task EndAsync()
        {
            await Task;
            Stop.Dispose();
            Pump.Dispose();
        }
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "whether consumers have to be made anew is not known yet: {Reason}")]
    private partial void LogNotLooked(string reason);
}
