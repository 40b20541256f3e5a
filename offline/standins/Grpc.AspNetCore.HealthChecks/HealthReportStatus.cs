using Microsoft.Extensions.Diagnostics.HealthChecks;
using static Grpc.Health.V1.HealthCheckResponse.Types;

namespace Grpc.AspNetCore.HealthChecks;

/// <summary>A report becomes one status: no check is UNKNOWN, one unhealthy check is NOT_SERVING, degraded still serves.</summary>
internal static class HealthReportStatus
{
    public static ServingStatus Of(HealthReport report, ServiceMapping mapping)
    {
        var status = ServingStatus.Unknown;
        foreach (var (name, entry) in report.Entries)
        {
            if (mapping.HealthCheckPredicate?.Invoke(new HealthCheckMapContext(name, entry.Tags)) == false)
            {
                continue;
            }

            if (entry.Status == HealthStatus.Unhealthy)
            {
                return ServingStatus.NotServing;
            }

            status = ServingStatus.Serving;
        }

        return status;
    }
}
