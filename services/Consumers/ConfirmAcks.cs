using NATS.Client.JetStream;

namespace RuleEngineNats.Consumers;

/// <summary>
/// Acknowledges one consumer's messages, which came over one connection, and has the server confirm it. What gathers while a confirmation is awaited goes
/// out together, and only its last asks for one: the server takes a connection's acknowledgements in their order, so that one stands for all.
/// </summary>
internal sealed class ConfirmAcks
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);
    private const int Attempts = 3;

    private readonly Func<int> _reconnects;
    private readonly TimeProvider _time;
    private readonly CancellationToken _abort;
    private readonly Gather<Pending> _pending;

    public ConfirmAcks(Func<int> reconnects, TimeProvider time, CancellationToken abort)
    {
        (_reconnects, _time, _abort) = (reconnects, time, abort);
        _pending = new(async group =>
        {
            var problem = await ConfirmAsync([.. group.Select(pending => pending.Message)]);
            foreach (var pending in group)
            {
                pending.Confirmed.SetResult(problem);
            }
        });
    }

    /// <summary>Completes when the server has confirmed it, with null; otherwise with the reason why it may not have been taken.</summary>
    public Task<string?> AckAsync(INatsJSMsg<byte[]> message)
    {
        var pending = new Pending(message, new(TaskCreationOptions.RunContinuationsAsynchronously));
        _pending.Add(pending);
        return pending.Confirmed.Task;
    }

    /// <summary>Acknowledges messages together; null when the server has confirmed it, otherwise the reason why it may not have taken them.</summary>
    // The confirmation may be lost although the server took the acknowledgements; asking again is harmless.
    public async Task<string?> ConfirmAsync(IReadOnlyList<INatsJSMsg<byte[]>> group)
    {
        for (var attempt = 1; ; attempt++)
        {
            string problem;
            try
            {
                var before = _reconnects();
                using var limit = new CancellationTokenSource(Timeout, _time);
                for (var index = 0; index < group.Count - 1; index++)
                {
                    await group[index].AckAsync(cancellationToken: limit.Token);
                }

                await group[^1].AckAsync(new AckOpts { DoubleAck = true }, limit.Token);
                if (_reconnects() == before)
                {
                    return null;
                }

                problem = "the connection was lost on the way";
            }
            catch (Exception e)
            {
                // A connection that is disposed of says so in its own ways; whoever waits is answered whatever it was.
                problem = e.Message;
            }

            if (attempt == Attempts || _abort.IsCancellationRequested)
            {
                return problem;
            }
        }
    }

    private readonly record struct Pending(INatsJSMsg<byte[]> Message, TaskCompletionSource<string?> Confirmed);
}
