using NATS.Client.Core;
using NATS.Client.JetStream;
using RuleEngineNats.Consumers;

namespace RuleEngineNats.IngestionWorker.Pumping;

/// <summary>Settles the messages of a batch: acknowledges together, with one confirmation, and gives back with each its pause.</summary>
internal sealed partial class SettleBatch(ConfirmAcks acks, TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);

    /// <returns>How many are acknowledged.</returns>
    public async Task<int> RunAsync(IReadOnlyList<Arrival> arrivals)
    {
        List<INatsJSMsg<byte[]>> done = new(arrivals.Count);
        foreach (var arrival in arrivals)
        {
            if (arrival.Settlement.Pause is { } pause)
            {
                await GiveBackAsync(arrival, pause);
            }
            else
            {
                done.Add(arrival.Message);
            }
        }

        if (done.Count > 0 && await acks.ConfirmAsync(done) is { } problem)
        {
            // They come again, and their statuses say that they are done.
            LogNotAcknowledged(logger, done.Count, problem);
            return 0;
        }

        return done.Count;
    }

    private async Task GiveBackAsync(Arrival arrival, TimeSpan pause)
    {
        try
        {
            using var limit = new CancellationTokenSource(Timeout, time);
            await arrival.Message.NakAsync(new AckOpts { NakDelay = pause }, limit.Token);
        }
        catch (Exception e) when (e is NatsException or OperationCanceledException or ObjectDisposedException)
        {
            LogNotGivenBack(logger, arrival.Sequence, e.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Messages} messages are settled but the server did not confirm it: {Reason}")]
    private static partial void LogNotAcknowledged(ILogger logger, int messages, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "message {Sequence} comes again only after ack_wait: {Reason}")]
    private static partial void LogNotGivenBack(ILogger logger, long sequence, string reason);
}
