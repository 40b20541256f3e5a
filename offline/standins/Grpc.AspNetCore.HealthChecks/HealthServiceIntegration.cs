using Grpc.Core;
using Grpc.Health.V1;
using Grpc.HealthCheck;
using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using static Grpc.Health.V1.HealthCheckResponse.Types;

namespace Grpc.AspNetCore.HealthChecks;

/// <summary>The mapped service: live checks for Check and for Watch's first answer, published reports after that.</summary>
internal sealed class HealthServiceIntegration(
    HealthServiceImpl published,
    HealthCheckService checks,
    IOptions<HealthCheckOptions> checkOptions,
    IOptions<GrpcHealthChecksOptions> options,
    IHostApplicationLifetime lifetime) : Health.V1.Health.HealthBase
{
    public override async Task<HealthCheckResponse> Check(HealthCheckRequest request, ServerCallContext context)
    {
        if (options.Value.UseHealthChecksCache)
        {
            return await published.Check(request, context);
        }

        var status = await RunChecks(request.Service, context.CancellationToken)
            ?? throw new RpcException(new Status(StatusCode.NotFound, ""));
        return new HealthCheckResponse { Status = status };
    }

    public override async Task Watch(HealthCheckRequest request, IServerStreamWriter<HealthCheckResponse> responseStream, ServerCallContext context)
    {
        // Open watches would otherwise hold the server's shutdown back until its timeout.
        var stopping = options.Value.SuppressCompletionOnShutdown ? CancellationToken.None : lifetime.ApplicationStopping;
        using var end = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, stopping);

        IServerStreamWriter<HealthCheckResponse> stream = options.Value.UseHealthChecksCache
            ? responseStream
            : new LiveFirstAnswer(responseStream, async () => new HealthCheckResponse
            {
                Status = await RunChecks(request.Service, context.CancellationToken) ?? ServingStatus.ServiceUnknown,
            });

        await published.Watch(request, stream, new EndableCallContext(context, end.Token));

        if (stopping.IsCancellationRequested && !context.CancellationToken.IsCancellationRequested)
        {
            await responseStream.WriteAsync(new HealthCheckResponse { Status = ServingStatus.NotServing });
        }
    }

    private async Task<ServingStatus?> RunChecks(string service, CancellationToken cancellationToken)
    {
        if (options.Value.Services.Find(service) is not { } mapping)
        {
            return null;
        }

        var report = await checks.CheckHealthAsync(
            registration => checkOptions.Value.Predicate?.Invoke(registration) != false
                && mapping.HealthCheckPredicate?.Invoke(new HealthCheckMapContext(registration.Name, registration.Tags)) != false,
            cancellationToken);
        return HealthReportStatus.Of(report, mapping);
    }

    private sealed class LiveFirstAnswer(IServerStreamWriter<HealthCheckResponse> inner, Func<Task<HealthCheckResponse>> runChecks)
        : IServerStreamWriter<HealthCheckResponse>
    {
        private bool _answered;

        public WriteOptions? WriteOptions
        {
            get => inner.WriteOptions;
            set => inner.WriteOptions = value;
        }

        public async Task WriteAsync(HealthCheckResponse message)
        {
            if (!_answered)
            {
                _answered = true;
                message = await runChecks();
            }

            await inner.WriteAsync(message);
        }
    }
}
