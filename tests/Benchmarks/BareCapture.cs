using System.Globalization;
using NATS.Client.JetStream;
using Npgsql.Replication;
using Npgsql.Replication.PgOutput;
using Npgsql.Replication.PgOutput.Messages;

namespace RuleEngineNats.Benchmarks;

/// <summary>
/// What capture is with the drivers alone, as one plain loop: read a row from the slot, make a text of its columns, publish it, confirm what
/// was read. No order, no filters, no reconnect.
/// </summary>
internal sealed class BareCapture(string connectionString, INatsJSContext jetStream)
{
    private const int InFlight = 1024;

    private int _published;

    public Task RunAsync(long rows) => RunAsync(Task.FromResult(rows));

    /// <param name="rows">How many rows there are; may become known while they are read.</param>
    public async Task RunAsync(Task<long> rows)
    {
        await using var connection = new LogicalReplicationConnection(connectionString);
        await connection.Open();
        using var stop = new CancellationTokenSource();
        using var window = new SemaphoreSlim(InFlight);
        var read = 0L;
        var watching = StopWhenReadAsync();
        try
        {
            await foreach (var message in connection.StartReplication(new("bare"), new("bare", PgOutputProtocolVersion.V1), stop.Token))
            {
                if (message is InsertMessage insert)
                {
                    var body = new List<string>();
                    await foreach (var value in insert.NewRow)
                    {
                        body.Add(await value.Get<string>());
                    }

                    await window.WaitAsync();
                    _ = PublishAsync(System.Text.Encoding.UTF8.GetBytes(string.Join(',', body)), window);
                    Interlocked.Increment(ref read);
                }

                connection.SetReplicationStatus(message.WalEnd);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // All rows are read.
        }

        await watching;
        for (var place = 0; place < InFlight; place++)
        {
            await window.WaitAsync();
        }

        async Task StopWhenReadAsync()
        {
            var all = await rows;
            while (Interlocked.Read(ref read) < all)
            {
                await Task.Delay(10);
            }

            await stop.CancelAsync();
        }
    }

    private async Task PublishAsync(byte[] body, SemaphoreSlim window)
    {
        var id = string.Create(CultureInfo.InvariantCulture, $"bare_{Interlocked.Increment(ref _published)}");
        (await jetStream.PublishAsync("bare.public.bare.insert", body, opts: new NatsJSPubOpts { MsgId = id })).EnsureSuccess();
        window.Release();
    }
}
