using Microsoft.Extensions.Logging.Abstractions;
using RuleEngineNats.ChangeCapture.Filters;
using RuleEngineNats.ChangeCapture.Formats;
using RuleEngineNats.ChangeCapture.Outputs;
using RuleEngineNats.ChangeCapture.Replication;
using RuleEngineNats.ChangeCapture.Snapshots;
using RuleEngineNats.ChangeCapture.Tests.Pgoutput;

namespace RuleEngineNats.ChangeCapture.Tests.Replication;

public sealed class TransactionReaderTests
{
    /// <summary>Servers before the minor releases of May 2025 do not describe the table again here; later ones do.</summary>
    [Fact]
    public async Task A_description_in_a_streamed_transaction_does_not_replace_one_that_came_since()
    {
        var folder = Directory.CreateTempSubdirectory("capture-");
        var file = Path.Combine(folder.FullName, "events");
        await using (var output = LineOutput.ToFile("File", file, new JsonFormat(new RowShape(false, ValueStyle.Text, []), pretty: false)))
        {
            var (options, status, wal) = (new CaptureOptions { Slot = "slot" }, new CaptureStatus(), new ConfirmedWal());
            var (filter, loggers, time) = (new CaptureFilter(options), NullLoggerFactory.Instance, TimeProvider.System);
            var pipeline = new EventPipeline(options.Slot, new("postgres"), [output], status, replaces: false);
            var source = new CaptureSource(options, filter, new(options, time, NullLogger<MoveSlot>.Instance), NullLogger<CaptureSource>.Instance);
            var snapshots = new SnapshotQueue(options, source, filter, [output], wal, new(options.Slot, null, time, loggers), time, NullLogger<SnapshotQueue>.Instance);
            using var reader = new TransactionReader(filter, pipeline, wal, new(options.Slot, pipeline, status, time), snapshots, folder.FullName);
            foreach (var message in (WalBytes[])[
                // Transaction 7 describes users in its part 8, which is rolled back: users is free to be altered.
                WalBytes.Of('S').Int32(7).Byte(1), WalBytes.Users(xid: 8), WalBytes.Of('I').Int32(8).Int32(16384).Row('N', "1", "gone"), WalBytes.Of('E'), WalBytes.Of('A').Int32(7).Int32(8),
                .. Transaction(100, Altered(), WalBytes.Of('I').Int32(16384).Row('N', "2", "a")),
                WalBytes.Of('S').Int32(7).Byte(0), WalBytes.Of('M').Int32(7).Byte(1).Int64(1).Text("prefix").Int32(0), WalBytes.Of('E'),
                WalBytes.Of('c').Int32(7).Byte(0).Int64(200).Int64(201).Int64(0),
                .. Transaction(300, WalBytes.Of('I').Int32(16384).Row('N', "3", "b"))])
            {
                await reader.HandleAsync(0, message.ToArray(), CancellationToken.None);
            }

            await output.FlushAsync(CancellationToken.None);
        }

        var inserts = (await File.ReadAllLinesAsync(file)).Where(line => line.StartsWith("{\"Insert\"", StringComparison.Ordinal));
        Assert.Equal(["""{"id":"2","title":"a"}""", """{"id":"3","title":"b"}"""], inserts.Select(line => line[(line.IndexOf("new_tuple\":", StringComparison.Ordinal) + 11)..^2]));
        folder.Delete(recursive: true);
    }

    private static WalBytes[] Transaction(ulong lsn, params WalBytes[] changes)
        => [WalBytes.Of('B').Int64(lsn).Int64(0).Int32((long)lsn), .. changes, WalBytes.Of('C').Byte(0).Int64(lsn).Int64(lsn + 1).Int64(0)];

    private static WalBytes Altered()
        => WalBytes.Of('R').Int32(16384).Text("public").Text("users").Byte('d').Int16(2).Byte(1).Text("id").Int32(23).Int32(-1).Byte(0).Text("title").Int32(25).Int32(-1);
}
