using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using RuleEngineNats.Contracts;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.Benchmarks;

/// <summary>IngestionApi beside a bare Kestrel endpoint that publishes to JetStream. Each has a stream of its own that drops its oldest, so that none fills up.</summary>
internal sealed class IngestBenchmarks : IAsyncDisposable
{
    public const string Subject = "bare.ingest";

    private const int LinesOfBatch = 500;

    private readonly List<IAsyncDisposable> _owned = [];
    private readonly byte[] _document;
    private readonly byte[] _batch;
    private readonly DirectoryInfo _entities = Directory.CreateTempSubdirectory("entities-");
    private HttpClient _ours = null!;
    private HttpClient _bare = null!;

    private IngestBenchmarks()
    {
        var lines = new StringBuilder();
        for (var key = 1; key <= LinesOfBatch; key++)
        {
            TpchOrders.Append(lines, key);
            lines.Append('\n');
        }

        _batch = Encoding.UTF8.GetBytes(lines.ToString());
        _document = _batch[..Array.IndexOf(_batch, (byte)'\n')];
    }

    public static async Task<IngestBenchmarks> StartAsync()
    {
        var benchmarks = new IngestBenchmarks();
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
        new("ingest: message, 1 in flight", 0.7, time => RunAsync(_ours, "/ingest/message", 1, time, _document, 1), time => RunAsync(_bare, "/message", 1, time, _document, 1)),
        new("ingest: message, 16 in flight", 0.7, time => RunAsync(_ours, "/ingest/message", 16, time, _document, 1), time => RunAsync(_bare, "/message", 16, time, _document, 1)),
        new("ingest: batches of 500, 4 in flight", 0.7, time => RunAsync(_ours, "/ingest/batch", 4, time, _batch, LinesOfBatch), time => RunAsync(_bare, "/batch", 4, time, _batch, LinesOfBatch)),
    ];

    public async ValueTask DisposeAsync()
    {
        _ours?.Dispose();
        _bare?.Dispose();
        foreach (var owned in Enumerable.Reverse(_owned))
        {
            await owned.DisposeAsync();
        }

        _entities.Delete(recursive: true);
    }

    private async Task PrepareAsync()
    {
        var nats = Own(await NatsServer.StartAsync());
        await using (var connection = new NatsConnection(NatsOpts.Default with { Url = nats.Url }))
        {
            var context = new NatsJSContext(connection);
            foreach (var (stream, subject) in (List<(string, string)>)[(StreamNames.Messages, StreamNames.IngestSubjectPrefix + ">"), ("BARE", Subject)])
            {
                await context.CreateStreamAsync(new StreamConfig(stream, [subject]) { MaxBytes = 1L << 30, Discard = StreamConfigDiscard.Old });
            }
        }

        // As by default: the worker validates.
        foreach (var file in Directory.GetFiles(Repository.Path("examples", "entities", "tpch")))
        {
            var definition = await File.ReadAllTextAsync(file);
            await File.WriteAllTextAsync(Path.Combine(_entities.FullName, Path.GetFileName(file)), definition.Replace("validation: api", "validation: worker", StringComparison.Ordinal));
        }

        var postgres = Own(await PostgresServer.StartPrivateAsync());
        var service = Own(await ServiceProcess.StartAsync("IngestionApi", new Dictionary<string, string?>
        {
            ["ConnectionStrings__rules"] = await postgres.CreateDatabaseAsync(),
            ["ConnectionStrings__nats"] = nats.Url,
            ["Ingestion__Entities__Folder"] = _entities.FullName,
            // The stream drops its oldest instead.
            ["Ingestion__MinFreeShare"] = "0",
            ["DOTNET_ENVIRONMENT"] = "Production",
            ["ASPNETCORE_ENVIRONMENT"] = "Production",
        }));
        _ours = Client(service.HttpUrl);
        var port = Ports.Free();
        Own(ChildProcess.Start("dotnet", [typeof(IngestBenchmarks).Assembly.Location, "--bare-ingest", port.ToString(CultureInfo.InvariantCulture), nats.Url]));
        _bare = Client(new Uri($"http://127.0.0.1:{port}"));
        await Wait.UntilAsync(async () => await AnswersAsync(_bare), "the bare endpoint answers");
    }

    private static HttpClient Client(Uri address) => new() { BaseAddress = address, DefaultRequestHeaders = { { "X-Entity-Type", "Order" } } };

    private async Task<bool> AnswersAsync(HttpClient client)
    {
        try
        {
            await PostAsync(client, "/message", _document, "application/json");
            return true;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    private T Own<T>(T owned)
        where T : IAsyncDisposable
    {
        _owned.Add(owned);
        return owned;
    }

    private static async Task<Run> RunAsync(HttpClient client, string path, int inFlight, TimeSpan time, byte[] body, int documents)
    {
        var latencies = new ConcurrentBag<List<double>>();
        var type = documents == 1 ? "application/json" : "application/x-ndjson";
        var clock = Stopwatch.StartNew();
        await Task.WhenAll(Enumerable.Range(0, inFlight).Select(_ => Task.Run(async () =>
        {
            var own = new List<double>(100_000);
            while (clock.Elapsed < time)
            {
                var began = clock.Elapsed;
                await PostAsync(client, path, body, type);
                own.Add((clock.Elapsed - began).TotalMilliseconds);
            }

            latencies.Add(own);
        })));
        return Run.Of(latencies.Sum(own => own.Count) * documents, clock.Elapsed, latencies.SelectMany(own => own));
    }

    private static async Task PostAsync(HttpClient client, string path, byte[] body, string type)
    {
        using var content = new ByteArrayContent(body) { Headers = { ContentType = new MediaTypeHeaderValue(type) } };
        using var response = await client.PostAsync(path, content);
        response.EnsureSuccessStatusCode();
        await response.Content.CopyToAsync(Stream.Null);
    }
}
