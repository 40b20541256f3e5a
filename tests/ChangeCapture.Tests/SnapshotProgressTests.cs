using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging.Abstractions;
using RuleEngineNats.Messaging;
using RuleEngineNats.PgoutputStream;

namespace RuleEngineNats.ChangeCapture.Tests;

public sealed class SnapshotProgressTests
{
    [Fact]
    [Trait("Category", "Servers")]
    public async Task Whoever_asks_is_told_how_far_each_table_is_and_so_are_the_metrics()
    {
        await using var harness = await CaptureHarness.CreateAsync("""
            CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 25); ANALYZE t; CREATE TABLE empty (id int PRIMARY KEY)
            """);
        var said = new Said();
        var counted = new Dictionary<string, long>();
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Name == Telemetry.Name && instrument.Name.StartsWith("rule.cdc.", StringComparison.Ordinal))
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Count(instrument, value, tags));
        listener.SetMeasurementEventCallback<int>((instrument, value, tags, _) => Count(instrument, value, tags));
        listener.Start();
        var options = new CaptureOptions
        {
            ConnectionString = harness.ConnectionString,
            Slot = harness.Slot,
            CreateSlot = true,
            StandardOutput = false,
            File = Path.Combine(harness.Folder, "events"),
            Snapshot = SnapshotMode.Initial,
            SnapshotChunkRows = 10,
        };
        options.Publications.Add("pub");
        using var stopping = new CancellationTokenSource();
        var capture = new Capture(options, NullLoggerFactory.Instance, TimeProvider.System) { SnapshotProgress = said }.RunAsync(stopping.Token);
        await TestKit.Wait.UntilAsync(() => Counted("rule.cdc.snapshot.active") == 0 && said.Of("public.t").Contains((SnapshotState.Completed, 25, 25L)), "the snapshot is complete");
        await stopping.CancelAsync();
        await capture;
        Assert.Equal([(SnapshotState.Waiting, 0, null), (SnapshotState.Reading, 10, 25L), (SnapshotState.Reading, 20, 25L), (SnapshotState.Completed, 25, 25L)], said.Of("public.t"));
        Assert.Equal([(SnapshotState.Waiting, 0, null), (SnapshotState.Completed, 0, null)], said.Of("public.empty"));
        Assert.Equal(25, Counted("rule.cdc.snapshot.rows"));

        void Count(Instrument instrument, long value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            lock (counted)
            {
                var name = $"{instrument.Name} {tags[0].Value}";
                counted[name] = counted.GetValueOrDefault(name) + value;
            }
        }

        long? Counted(string name)
        {
            lock (counted)
            {
                return counted.TryGetValue($"{name} {harness.Slot}", out var value) ? value : null;
            }
        }
    }

    [Fact]
    public void A_terminal_has_one_line_that_ends_with_the_snapshot()
    {
        using var terminal = new StringWriter();
        var bar = new SnapshotBar(terminal, TimeProvider.System);
        bar.Report(new("1", "public.t", SnapshotState.Reading, 500, 1000));
        bar.Report(new("1", "public.u", SnapshotState.Waiting, 0, null));
        bar.Report(new("1", "public.t", SnapshotState.Completed, 1200, 1000));
        bar.Report(new("1", "public.u", SnapshotState.Completed, 3, 3));
        var lines = terminal.ToString().Split("\r\e[2K", StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal("snapshot [############------------]  50 % 500 of about 1,000 rows, 0 of 1 tables: public.t\r", lines[0]);
        Assert.Equal("snapshot [########################] 100 % 1,203 of about 1,203 rows, 2 of 2 tables\n", lines[^1]);
    }

    [Fact]
    public void Rows_beyond_the_estimate_are_not_the_end()
        => Assert.Equal(
            "snapshot [#######################-]  99 % 1,203 of about 1,203 rows, 1 of 2 tables: public.t",
            SnapshotBar.Text([new("1", "public.t", SnapshotState.Reading, 1200, 1000), new("1", "public.u", SnapshotState.Completed, 3, 300)]));

    private sealed class Said : IProgress<SnapshotProgress>
    {
        private readonly List<SnapshotProgress> _said = [];

        public void Report(SnapshotProgress value)
        {
            lock (_said)
            {
                _said.Add(value);
            }
        }

        public IReadOnlyList<(SnapshotState, long, long?)> Of(string table)
        {
            lock (_said)
            {
                return [.. _said.Where(progress => progress.Table == table).Select(progress => (progress.State, progress.RowsRead, progress.EstimatedRows))];
            }
        }
    }
}
