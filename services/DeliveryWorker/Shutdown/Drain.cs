using Microsoft.Extensions.Options;

namespace RuleEngineNats.DeliveryWorker.Shutdown;

/// <summary>
/// The two moments of a stop: at the signal nothing new is taken; when the drain time is over, what still runs is cut off and given back.
/// </summary>
internal sealed class Drain : IDisposable
{
    private readonly CancellationTokenSource _abort;
    private readonly CancellationTokenRegistration _registration;

    public Drain(IHostApplicationLifetime lifetime, IOptions<DeliveryOptions> options, TimeProvider time)
    {
        _abort = new CancellationTokenSource(Timeout.InfiniteTimeSpan, time);
        Stop = lifetime.ApplicationStopping;
        Abort = _abort.Token;
        _registration = Stop.Register(() => _abort.CancelAfter(options.Value.DrainTimeout));
    }

    /// <summary>Take nothing new.</summary>
    public CancellationToken Stop { get; }

    /// <summary>Give back what is not finished.</summary>
    public CancellationToken Abort { get; }

    public void Dispose()
    {
        _registration.Dispose();
        _abort.Dispose();
    }
}
