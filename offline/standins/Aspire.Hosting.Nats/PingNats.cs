using System.Net.Sockets;
using System.Text.Json;
using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Aspire.Hosting.Nats;

/// <summary>Healthy when the server lets a client in and answers its ping.</summary>
internal sealed class PingNats(NatsServerResource server) : IHealthCheck
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(Patience);
        try
        {
            using var client = new TcpClient();
            await client.ConnectAsync(server.PrimaryEndpoint.Host, server.PrimaryEndpoint.Port, patience.Token).ConfigureAwait(false);
            var stream = client.GetStream();
            using var reader = new StreamReader(stream);
            await using var writer = new StreamWriter(stream) { NewLine = "\r\n" };

            await reader.ReadLineAsync(patience.Token).ConfigureAwait(false);
            var connect = JsonSerializer.Serialize(new
            {
                verbose = false,
                pedantic = false,
                user = await server.UserNameReference.GetValueAsync(patience.Token).ConfigureAwait(false),
                pass = server.PasswordParameter is null ? null : await server.PasswordParameter.GetValueAsync(patience.Token).ConfigureAwait(false),
            });
            await writer.WriteAsync($"CONNECT {connect}\r\nPING\r\n".AsMemory(), patience.Token).ConfigureAwait(false);
            await writer.FlushAsync(patience.Token).ConfigureAwait(false);
            var answer = await reader.ReadLineAsync(patience.Token).ConfigureAwait(false);
            return answer == "PONG" ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy($"The server answered: {answer}");
        }
        catch (Exception exception) when (exception is SocketException or IOException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            return HealthCheckResult.Unhealthy(exception.Message, exception);
        }
    }
}
