using Microsoft.Extensions.Diagnostics.HealthChecks;
using RuleEngineNats.ChangeCapture;

namespace RuleEngineNats.CdcRelay.Captures;

/// <summary>What runs here, for whoever asks.</summary>
internal sealed class CaptureBoard
{
    private volatile IReadOnlyList<RunCapture> _captures = [];

    public IReadOnlyList<RunCapture> Captures => _captures;

    public void Show(IEnumerable<RunCapture> captures) => _captures = [.. captures];
}

/// <summary>Unready when a slot has lost its WAL: changes are missing. What stands still without loss is said, and degrades.</summary>
internal sealed class CaptureHealth(CaptureBoard board) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var captures = board.Captures;
        if (captures.FirstOrDefault(capture => capture.Status.Slot is { IsLost: true } || capture.Failure is CaptureFailure.SlotLost) is { } lost)
        {
            return Task.FromResult(HealthCheckResult.Unhealthy($"capture {lost.Definition.Name}: {lost.Problem ?? lost.Status.Warning}; call rule_cdc_recover"));
        }

        string[] troubles =
        [
            .. from capture in captures
               let trouble = capture.Problem ?? capture.Status.Reason ?? capture.Status.Warning
               where trouble is not null
               select $"capture {capture.Definition.Name}: {trouble}",
        ];
        return Task.FromResult(troubles.Length == 0 ? HealthCheckResult.Healthy() : HealthCheckResult.Degraded(string.Join("; ", troubles)));
    }
}
