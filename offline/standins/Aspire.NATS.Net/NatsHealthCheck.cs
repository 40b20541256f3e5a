using Microsoft.Extensions.Diagnostics.HealthChecks;
using NATS.Client.Core;

namespace Aspire.NATS.Net;

/// <summary>Reports the connection's state; a connection nobody has opened yet is opened to find out.</summary>
internal sealed class NatsHealthCheck(INatsConnection connection) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        switch (connection.ConnectionState)
        {
            case NatsConnectionState.Open:
                return HealthCheckResult.Healthy();
            case NatsConnectionState.Connecting:
            case NatsConnectionState.Reconnecting:
                return HealthCheckResult.Degraded("Connecting to NATS server...");
            case NatsConnectionState.Closed:
                try
                {
                    await connection.ConnectAsync().ConfigureAwait(false);
                    return HealthCheckResult.Healthy();
                }
                catch (Exception exception)
                {
                    return HealthCheckResult.Unhealthy("Failed to connect to NATS server.", exception);
                }

            default:
                return new HealthCheckResult(context.Registration.FailureStatus, "Unknown NATS connection state.");
        }
    }
}
