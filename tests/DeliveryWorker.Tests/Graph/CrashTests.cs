using System.Globalization;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.DeliveryWorker.Tests.Graph;

/// <summary>
/// The worker dies by SIGKILL at named points of one event's way, with others under way. What it had recorded is not repeated, what it had not comes again, and what it had
/// acknowledged was recorded. RULE_KILL_ROUNDS sets how often at each point.
/// </summary>
[Trait("Category", "Servers")]
public sealed class CrashTests
{
    private const int EventsOfRound = 100;
    private const int InFlight = 64;

    private static readonly int Rounds = int.TryParse(Environment.GetEnvironmentVariable("RULE_KILL_ROUNDS"), out var rounds) ? rounds : 3;

    private static readonly (string, string)[] Settings =
    [
        ("Delivery__AckWait", "00:00:02"), ("Delivery__ProgressEvery", "00:00:01"), ("Delivery__Lease", "00:00:03"), ("Delivery__MaxTimeout", "00:00:02"),
        // Everything goes the stream's way, so that each event has its row of history.
        ("Delivery__SpillAfter", "00:00:10"), ("Delivery__DetachAfter", "00:01:00"),
    ];

    [Theory]
    [InlineData("after the fetch")]
    [InlineData("before the request is read")]
    [InlineData("after the request")]
    [InlineData("after the 2xx")]
    [InlineData("after the record")]
    [InlineData("before the ack")]
    public async Task I19_I20_nothing_is_lost_or_acknowledged_without_a_record_wherever_the_worker_dies(string point)
    {
        await using var graph = await DeliveryGraph.StartAsync();
        await using var proxy = TcpProxy.Before(graph.Nats);
        await graph.RegisterAsync("all", "events.>", "/all", timeoutMs: 20_000, settings: """{"max_concurrency": 256, "breaker_failures": 0, "retry_schedule": [0, 0, 0, 0, 0]}""");
        var worker = await graph.StartWorkerAsync(settings: [.. Settings, ("ConnectionStrings__nats", proxy.Url)]);
        var armed = new ArmedKill(worker);
        await using var recorded = await SetUpAsync(point, graph, proxy, armed);

        for (var round = 0; round < Rounds; round++)
        {
            armed.Arm(after: round % 20);
            var publishing = graph.PublishManyAsync("events.x", EventsOfRound, string.Create(CultureInfo.InvariantCulture, $"{round}_"));
            await armed.Killed.WaitAsync(TimeSpan.FromSeconds(60));
            await publishing;
            var floor = (long)(await graph.ConsumerAsync()).AckFloor.StreamSeq;
            Assert.Equal(floor, await graph.CountAsync("SELECT count(DISTINCT stream_sequence) FROM rule_webhook_call_history WHERE stream_sequence <= $1", floor));
            await worker.RestartAsync();
        }

        await graph.DrainedAsync(Rounds * EventsOfRound, TimeSpan.FromSeconds(90));

        var ids = graph.Receiver.Requests.GroupBy(request => request.Id).ToDictionary(group => group.Key, group => group.Count());
        var lost = Enumerable.Range(0, Rounds).SelectMany(round => Enumerable.Range(0, EventsOfRound).Select(number => $"{round}_{number}")).Where(id => !ids.ContainsKey(id));
        Assert.Empty(lost);
        Assert.Equal(Rounds * EventsOfRound, ids.Count);
        Assert.InRange(ids.Values.Sum() - ids.Count, 0, Rounds * InFlight);
        Assert.Equal(ids.Count, await graph.CountAsync("SELECT count(DISTINCT event_id) FROM rule_webhook_call_history WHERE outcome = 'delivered'"));
    }

    private static async Task<IAsyncDisposable> SetUpAsync(string point, DeliveryGraph graph, TcpProxy proxy, ArmedKill armed)
    {
        switch (point)
        {
            case "after the fetch":
                proxy.Answer(bytes => armed.Fires(bytes.AsSpan().IndexOf("$JS.ACK."u8) >= 0) ? null : bytes);
                break;
            case "before the ack":
                proxy.Ask(bytes => armed.Fires(bytes.AsSpan().IndexOf("$JS.ACK."u8) >= 0 && bytes.AsSpan().IndexOf("+WPI"u8) < 0) ? null : bytes);
                break;
            case "before the request is read":
                graph.Receiver.Connecting(() => armed.Fires(true));
                break;
            case "after the request":
                graph.Receiver.Answer("/all", (_, _) =>
                {
                    armed.Fires(true);
                    return Task.CompletedTask;
                });
                break;
            case "after the 2xx":
                graph.Receiver.Answer("/all", (context, _) =>
                {
                    context.Response.OnCompleted(() =>
                    {
                        armed.Fires(true);
                        return Task.CompletedTask;
                    });
                    return context.Response.CompleteAsync();
                });
                break;
            default:
                return await RecordWatch.StartAsync(graph, armed);
        }

        return Nothing.Instance;
    }

    private sealed class Nothing : IAsyncDisposable
    {
        public static readonly Nothing Instance = new();

        public ValueTask DisposeAsync() => default;
    }

    /// <summary>Kills the worker once, when what it waits for happens for the given time.</summary>
    private sealed class ArmedKill(ServiceProcess worker)
    {
        private readonly Lock _lock = new();
        private TaskCompletionSource _killed = new();
        private int _left = -1;

        public Task Killed => _killed.Task;

        public void Arm(int after)
        {
            lock (_lock)
            {
                _killed = new(TaskCreationOptions.RunContinuationsAsynchronously);
                _left = after;
            }
        }

        public bool Fires(bool happened)
        {
            lock (_lock)
            {
                if (!happened || _left < 0 || _left-- > 0)
                {
                    return false;
                }

                // SIGKILL is sent before this returns; its end is awaited by the test.
                _ = worker.KillAsync().ContinueWith(_ => _killed.TrySetResult(), TaskScheduler.Default);
                return true;
            }
        }
    }

    /// <summary>Hears of every row of history when its transaction has committed.</summary>
    private sealed class RecordWatch(Npgsql.NpgsqlConnection connection, CancellationTokenSource stop, Task listening) : IAsyncDisposable
    {
        public static async Task<RecordWatch> StartAsync(DeliveryGraph graph, ArmedKill armed)
        {
            await graph.ExecuteAsync("""
                CREATE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_notify('told', ''); RETURN NULL; END $$;
                CREATE TRIGGER told AFTER INSERT ON rule_webhook_call_history FOR EACH STATEMENT EXECUTE FUNCTION told()
                """);
            var connection = await graph.Database.OpenConnectionAsync();
            connection.Notification += (_, _) => armed.Fires(true);
            await using (var listen = new Npgsql.NpgsqlCommand("LISTEN told", connection))
            {
                await listen.ExecuteNonQueryAsync();
            }

            var stop = new CancellationTokenSource();
            return new(connection, stop, ListenAsync(connection, stop.Token));
        }

        public async ValueTask DisposeAsync()
        {
            await stop.CancelAsync();
            await listening.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await connection.DisposeAsync();
            stop.Dispose();
        }

        private static async Task ListenAsync(Npgsql.NpgsqlConnection connection, CancellationToken cancellationToken)
        {
            while (true)
            {
                await connection.WaitAsync(cancellationToken);
            }
        }
    }
}
