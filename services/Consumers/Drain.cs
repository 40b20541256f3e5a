using System.Runtime.InteropServices;
using Microsoft.Extensions.Hosting;

namespace RuleEngineNats.Consumers;

/// <summary>
/// The two moments of a stop: at the signal nothing new is taken; when the drain time is over, or a second signal comes, what still runs is cut off and
/// given back.
/// </summary>
internal sealed class Drain : IDisposable
{
    private readonly CancellationTokenSource _abort;
    private readonly CancellationTokenRegistration _registration;
    private readonly PosixSignalRegistration _signal;
    private int _signals;

    public Drain(IHostApplicationLifetime lifetime, TimeSpan timeout, TimeProvider time)
    {
        _abort = new CancellationTokenSource(Timeout.InfiniteTimeSpan, time);
        Stop = lifetime.ApplicationStopping;
        Abort = _abort.Token;
        _registration = Stop.Register(() => _abort.CancelAfter(timeout));
        _signal = PosixSignalRegistration.Create(PosixSignal.SIGTERM, _ => OnSignal());
    }

    /// <summary>Take nothing new.</summary>
    public CancellationToken Stop { get; }

    /// <summary>Give back what is not finished.</summary>
    public CancellationToken Abort { get; }

    public void Dispose()
    {
        _signal.Dispose();
        _registration.Dispose();
        _abort.Dispose();
    }

    // The host handles the first signal by itself.
    private void OnSignal()
    {
        if (Interlocked.Increment(ref _signals) > 1)
        {
            _abort.Cancel();
        }
    }
}
