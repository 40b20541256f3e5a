using System.Globalization;
using RuleEngineNats.Benchmarks;

// Benchmarks [part of a row's name] [seconds per run] [runs], in any order of name and numbers
// Each row is measured in turns with its bare counterpart, which does the same input and output with the drivers alone.
if (args is ["--bare", var port, var nats])
{
    await BareServer.RunAsync(int.Parse(port, CultureInfo.InvariantCulture), nats);
    return;
}

if (args is ["--bare-ingest", var ingestPort, var ingestNats])
{
    await BareIngest.RunAsync(int.Parse(ingestPort, CultureInfo.InvariantCulture), ingestNats);
    return;
}

if (args is ["--receiver", var receiverPort])
{
    await BareReceiver.RunAsync(int.Parse(receiverPort, CultureInfo.InvariantCulture));
    return;
}

var numbers = args.Where(IsNumber).Select(number => double.Parse(number, CultureInfo.InvariantCulture)).ToArray();
var seconds = numbers.Length > 0 ? numbers[0] : 2;
var runs = numbers.Length > 1 ? (int)numbers[1] : 5;
var filter = args.FirstOrDefault(argument => !IsNumber(argument)) ?? "";

var table = new ResultTable(TimeSpan.FromSeconds(seconds), runs);
await using var pipeline = await PipelineBenchmarks.StartAsync();
var inProcess = pipeline.Rows().Where(IsAsked).ToArray();
await MeasureAsync(inProcess);

// The others need servers.
if (filter.Length == 0 || inProcess.Length == 0 && !IsOf("delivery") && !IsOf("cdc") && !IsOf("ingest"))
{
    await using var publish = await PublishBenchmarks.StartAsync();
    await using var outbox = await OutboxBenchmarks.StartAsync();
    await MeasureAsync(publish.Rows().Concat(outbox.Rows()).Where(IsAsked));
}

if (filter.Length == 0 || IsOf("delivery"))
{
    await using var delivery = await DeliveryBenchmarks.StartAsync();
    await MeasureAsync(delivery.Rows().Where(IsAsked));
}

if (filter.Length == 0 || IsOf("cdc"))
{
    await using var changes = await ChangeBenchmarks.StartAsync();
    await MeasureAsync(changes.Rows().Where(IsAsked));
}

if (filter.Length == 0 || IsOf("ingest"))
{
    await using var ingest = await IngestBenchmarks.StartAsync();
    await MeasureAsync(ingest.Rows().Where(IsAsked));
    await using var persist = await PersistBenchmarks.StartAsync();
    await MeasureAsync(persist.Rows().Where(IsAsked));
}

table.Print();

static bool IsNumber(string argument) => double.TryParse(argument, CultureInfo.InvariantCulture, out _);

bool IsOf(string kind) => filter.StartsWith(kind, StringComparison.OrdinalIgnoreCase);

bool IsAsked(Row row) => row.Name.Contains(filter, StringComparison.OrdinalIgnoreCase);

async Task MeasureAsync(IEnumerable<Row> rows)
{
    foreach (var row in rows)
    {
        await table.MeasureAsync(row);
    }
}
