using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Threading.Channels;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using Npgsql;
using RuleEngineNats.Contracts.Publishing;
using RuleEngineNats.TestKit;
using PublishApi = RuleEngineNats.Contracts.Publishing.PublishService;

namespace RuleEngineNats.Benchmarks;

/// <summary>PublishService beside a bare gRPC method that awaits a bare JetStream publish, a bare duplex method and a bare pipelined publish.</summary>
internal sealed class PublishBenchmarks : IAsyncDisposable
{
    private const int Window = 256;
    private const string Subject = "events.bench";

    private static readonly ByteString Payload = ByteString.CopyFromUtf8($$"""{"order":123456,"note":"{{new string('x', 200)}}"}""");

    private readonly List<IAsyncDisposable> _owned = [];
    private PublishApi.PublishServiceClient _ours = null!;
    private PublishApi.PublishServiceClient _bare = null!;
    private NatsJSContext _context = null!;
    private int _webhookId;
    private long _lastId;

    public static async Task<PublishBenchmarks> StartAsync()
    {
        var benchmarks = new PublishBenchmarks();
        try
        {
            await benchmarks.PrepareAsync();
            return benchmarks;
        }
        catch
        {
            await benchmarks.DisposeAsync();
            throw;
        }
    }

    public IEnumerable<Row> Rows() =>
    [
        new("Publish, 1 in flight", 0.8, time => UnaryAsync(_ours, 1, time, BySubject), time => UnaryAsync(_bare, 1, time, BySubject)),
        new("Publish, 16 in flight", 0.8, time => UnaryAsync(_ours, 16, time, BySubject), time => UnaryAsync(_bare, 16, time, BySubject)),
        new("PublishStream", 0.7, time => StreamAsync(_ours, time, BySubject), time => StreamAsync(_bare, time, BySubject), PipelinedAsync),
        new("Publish, 16 in flight, webhook and own id", null, time => UnaryAsync(_ours, 16, time, ByWebhook), time => UnaryAsync(_bare, 16, time, BySubject)),
        new("PublishStream, webhook and own id", null, time => StreamAsync(_ours, time, ByWebhook), time => StreamAsync(_bare, time, BySubject), PipelinedAsync),
    ];

    public async ValueTask DisposeAsync()
    {
        foreach (var owned in Enumerable.Reverse(_owned))
        {
            await owned.DisposeAsync();
        }
    }

    private static PublishRequest BySubject() => new() { Subject = Subject, Payload = Payload };

    private PublishRequest ByWebhook() => new()
    {
        WebhookId = _webhookId,
        Payload = Payload,
        MessageId = Interlocked.Increment(ref _lastId).ToString(CultureInfo.InvariantCulture),
    };

    private async Task PrepareAsync()
    {
        var nats = Own(await NatsServer.StartAsync());
        var connection = Own(new NatsConnection(NatsOpts.Default with { Url = nats.Url }));
        _context = new NatsJSContext(connection);
        await _context.CreateStreamAsync(new StreamConfig("WEBHOOKS", ["webhooks.>", "events.>"]) { Discard = StreamConfigDiscard.New, MaxMsgSize = 512 * 1024 });
        var postgres = Own(await PostgresServer.StartPrivateAsync());
        var connectionString = await postgres.CreateDatabaseAsync();
        await using (var database = NpgsqlDataSource.Create(connectionString))
        {
            await using var command = database.CreateCommand(
                "INSERT INTO rule_webhooks (webhook_name, url, nats_enabled, nats_subject, publish_mode) VALUES ('bench', 'http://127.0.0.1/', true, 'webhooks.bench', 'nats') RETURNING webhook_id");
            _webhookId = (int)(await command.ExecuteScalarAsync())!;
        }

        var service = Own(await ServiceProcess.StartAsync("PublishService", new Dictionary<string, string?>
        {
            ["ConnectionStrings__rules"] = connectionString,
            ["ConnectionStrings__nats"] = nats.Url,
            ["DOTNET_ENVIRONMENT"] = "Production",
            ["ASPNETCORE_ENVIRONMENT"] = "Production",
        }));
        _ours = Client(service.GrpcUrl);
        var port = Ports.Free();
        Own(ChildProcess.Start("dotnet", [typeof(PublishBenchmarks).Assembly.Location, "--bare", port.ToString(CultureInfo.InvariantCulture), nats.Url]));
        _bare = Client(new Uri($"http://127.0.0.1:{port}"));
        await Wait.UntilAsync(async () => (await _bare.PublishAsync(BySubject())).Sequence > 0, "the bare server answers");
    }

    private static PublishApi.PublishServiceClient Client(Uri address) => new(GrpcChannel.ForAddress(address));

    private T Own<T>(T owned)
        where T : IAsyncDisposable
    {
        _owned.Add(owned);
        return owned;
    }

    private static async Task<Run> UnaryAsync(PublishApi.PublishServiceClient client, int inFlight, TimeSpan time, Func<PublishRequest> request)
    {
        var latencies = new ConcurrentBag<List<double>>();
        var clock = Stopwatch.StartNew();
        await Task.WhenAll(Enumerable.Range(0, inFlight).Select(_ => Task.Run(async () =>
        {
            var own = new List<double>(100_000);
            while (clock.Elapsed < time)
            {
                var began = clock.Elapsed;
                await client.PublishAsync(request());
                own.Add((clock.Elapsed - began).TotalMilliseconds);
            }

            latencies.Add(own);
        })));
        return Run.Of(latencies.Sum(own => own.Count), clock.Elapsed, latencies.SelectMany(own => own));
    }

    private static async Task<Run> StreamAsync(PublishApi.PublishServiceClient client, TimeSpan time, Func<PublishRequest> request)
    {
        using var call = client.PublishStream();
        var window = Channel.CreateBounded<TimeSpan>(Window);
        var latencies = new List<double>(1_000_000);
        var clock = Stopwatch.StartNew();
        var reading = Task.Run(async () =>
        {
            await foreach (var result in call.ResponseStream.ReadAllAsync())
            {
                if (result.OutcomeCase != PublishResult.OutcomeOneofCase.Stored)
                {
                    throw new InvalidOperationException(result.Error.Message);
                }

                latencies.Add((clock.Elapsed - await window.Reader.ReadAsync()).TotalMilliseconds);
            }
        });
        while (clock.Elapsed < time)
        {
            await window.Writer.WriteAsync(clock.Elapsed);
            await call.RequestStream.WriteAsync(request());
        }

        await call.RequestStream.CompleteAsync();
        await reading;
        return Run.Of(latencies.Count, clock.Elapsed, latencies);
    }

    private async Task<Run> PipelinedAsync(TimeSpan time)
    {
        var sent = Channel.CreateBounded<(NatsJSPublishConcurrentFuture Future, TimeSpan Began)>(Window);
        var latencies = new List<double>(1_000_000);
        var clock = Stopwatch.StartNew();
        var reading = Task.Run(async () =>
        {
            await foreach (var (future, began) in sent.Reader.ReadAllAsync())
            {
                await using (future)
                {
                    (await future.GetResponseAsync()).EnsureSuccess();
                }

                latencies.Add((clock.Elapsed - began).TotalMilliseconds);
            }
        });
        while (clock.Elapsed < time)
        {
            await sent.Writer.WriteAsync((await _context.PublishConcurrentAsync(Subject, Payload.Memory, NatsRawSerializer<ReadOnlyMemory<byte>>.Default), clock.Elapsed));
        }

        sent.Writer.Complete();
        await reading;
        return Run.Of(latencies.Count, clock.Elapsed, latencies);
    }
}
