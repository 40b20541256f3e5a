using System.Globalization;
using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Aspire.Hosting.Local;

/// <summary>Healthy when the endpoint answers with the expected status; of several replicas, the one being asked about.</summary>
internal sealed class HttpEndpointHealthCheck(EndpointReference endpoint, string path, int expected, IHttpClientFactory clients) : IHealthCheck
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        if (!endpoint.IsAllocated)
        {
            return HealthCheckResult.Unhealthy("The endpoint has not been allocated yet.");
        }

        var port = LocalReplica.IsCurrent(endpoint.Resource) ? LocalReplica.PortOf(endpoint.Resource, endpoint.EndpointAnnotation) : endpoint.Port;
        var uri = new Uri(new Uri(string.Create(CultureInfo.InvariantCulture, $"{endpoint.Scheme}://{endpoint.Host}:{port}")), path);
        using var client = clients.CreateClient("health");
        client.Timeout = Patience;
        try
        {
            using var response = await client.GetAsync(uri, cancellationToken).ConfigureAwait(false);
            return (int)response.StatusCode == expected
                ? HealthCheckResult.Healthy()
                : HealthCheckResult.Unhealthy($"Request to {uri} returned {(int)response.StatusCode}; expected {expected}.");
        }
        catch (Exception exception) when (exception is HttpRequestException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            return HealthCheckResult.Unhealthy($"Failed to request {uri}: {exception.Message}", exception);
        }
    }
}
