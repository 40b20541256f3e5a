using Microsoft.Extensions.Options;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.CdcRelay.Outbox;

/// <summary>Becomes the leader, works until something fails, and begins again.</summary>
internal sealed partial class RelayWorker(
    IServiceScopeFactory scopes, RelayLease leases, RelayStatus status, ConfigWatcher config, IOptions<RelayOptions> options, TimeProvider time, ILogger<RelayWorker> logger)
    : BackgroundService
{
    /// <summary>A term that lasted this long was a good one: the next failure is a new one.</summary>
    private static readonly TimeSpan GoodTerm = TimeSpan.FromSeconds(30);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        for (var failures = 1; !stoppingToken.IsCancellationRequested; failures++)
        {
            var started = time.GetTimestamp();
            try
            {
                await LeadAsync(stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                status.Failed(e.Message);
                failures = time.GetElapsedTime(started) > GoodTerm ? 1 : failures;
                TermFailed(e, failures);
            }

            await Task.Delay(RetryPause.After(failures, options.Value.RetryMinimum, options.Value.RetryMaximum), time, stoppingToken)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task LeadAsync(CancellationToken stoppingToken)
    {
        await config.WaitForFirstAsync(stoppingToken);
        await using var lease = await leases.AcquireAsync(stoppingToken);
        await using var scope = scopes.CreateAsyncScope();
        await scope.ServiceProvider.GetRequiredService<RelayTerm>().RunAsync(lease, stoppingToken);
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "the relay's term ended (failure {Failures} in a row); beginning again")]
    private partial void TermFailed(Exception exception, int failures);
}
