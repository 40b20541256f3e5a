using System.Globalization;
using RuleEngineNats.Benchmarks;

// Benchmarks [seconds per run] [runs] [part of a row's name]
// Each row is measured in turns with its bare counterpart, which does the same input and output with the drivers alone.
if (args is ["--bare", var port, var nats])
{
    await BareServer.RunAsync(int.Parse(port, CultureInfo.InvariantCulture), nats);
    return;
}

var seconds = args.Length > 0 ? double.Parse(args[0], CultureInfo.InvariantCulture) : 2;
var runs = args.Length > 1 ? int.Parse(args[1], CultureInfo.InvariantCulture) : 5;
var filter = args.Length > 2 ? args[2] : string.Empty;

await using var publish = await PublishBenchmarks.StartAsync();
await using var outbox = await OutboxBenchmarks.StartAsync();
var table = new ResultTable(TimeSpan.FromSeconds(seconds), runs);
foreach (var row in publish.Rows().Concat(outbox.Rows()).Where(row => row.Name.Contains(filter, StringComparison.OrdinalIgnoreCase)))
{
    await table.MeasureAsync(row);
}

table.Print();
