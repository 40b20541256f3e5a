using System.Threading.RateLimiting;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;
using RuleEngineNats.Messaging;
using RuleEngineNats.PublishService.Errors;

namespace RuleEngineNats.PublishService.Limits;

/// <summary>Bounds what clients can ask for at once, so that an overload is refused quickly instead of slowing down everybody.</summary>
internal static class PublishLimits
{
    // A batch of small events; and room for what surrounds the largest body, and for a body a little above its limit, which is then refused by name.
    private const int LeastReceiveMessageSize = 4 * 1024 * 1024;
    private const int BesideTheBody = 1024 * 1024;

    public static void AddPublishLimits(this WebApplicationBuilder builder)
    {
        builder.Services.AddOptions<PublishOptions>().BindConfiguration(PublishOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        builder.Services.AddSingleton<CallLimiter>();
        builder.Services.AddOptions<GrpcServiceOptions>().Configure<IOptions<MessagingOptions>>((options, messaging) =>
        {
            options.MaxReceiveMessageSize = MaxReceiveMessageSize(messaging.Value);
            options.EnableDetailedErrors = false;
            options.Interceptors.Add<CallLimiter>();
        });
        builder.Services.AddOptions<KestrelServerOptions>().Configure<IOptions<MessagingOptions>>((options, messaging) =>
        {
            // Kestrel's own 30 MB would cut off what gRPC takes.
            options.Limits.MaxRequestBodySize = MaxReceiveMessageSize(messaging.Value) + BesideTheBody;
            options.Limits.MaxConcurrentConnections = 1000;
            options.Limits.Http2.MaxStreamsPerConnection = 100;
            options.Limits.Http2.KeepAlivePingDelay = TimeSpan.FromSeconds(30);
            options.Limits.Http2.KeepAlivePingTimeout = TimeSpan.FromSeconds(10);

            // A publish stream may be silent for as long as its client has nothing to say.
            options.Limits.MinRequestBodyDataRate = null;
        });
    }

    private static int MaxReceiveMessageSize(MessagingOptions messaging) => Math.Max(LeastReceiveMessageSize, messaging.MaxBodyBytes + BesideTheBody);
}

/// <summary>Lets a bounded number of calls in and queues a bounded number of unary ones. Health and reflection calls are not counted.</summary>
internal sealed class CallLimiter(IOptions<PublishOptions> options) : Interceptor, IDisposable
{
    private const string Prefix = "/ruleengine.publish.v1.";

    private readonly ConcurrencyLimiter _calls = new(new ConcurrencyLimiterOptions
    {
        PermitLimit = options.Value.ConcurrentCalls,
        QueueLimit = options.Value.QueuedCalls,
        QueueProcessingOrder = QueueProcessingOrder.OldestFirst,
    });

    private readonly ConcurrencyLimiter _streams = new(new ConcurrencyLimiterOptions { PermitLimit = options.Value.ConcurrentStreams, QueueLimit = 0 });

    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
        TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        if (!context.Method.StartsWith(Prefix, StringComparison.Ordinal))
        {
            return await continuation(request, context);
        }

        using var permit = await _calls.AcquireAsync(1, context.CancellationToken);
        return permit.IsAcquired ? await continuation(request, context) : throw PublishStatus.Overloaded();
    }

    public override async Task DuplexStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream,
        IServerStreamWriter<TResponse> responseStream,
        ServerCallContext context,
        DuplexStreamingServerMethod<TRequest, TResponse> continuation)
    {
        if (!context.Method.StartsWith(Prefix, StringComparison.Ordinal))
        {
            await continuation(requestStream, responseStream, context);
            return;
        }

        using var permit = _streams.AttemptAcquire();
        if (!permit.IsAcquired)
        {
            throw PublishStatus.Overloaded();
        }

        await continuation(requestStream, responseStream, context);
    }

    public void Dispose()
    {
        _calls.Dispose();
        _streams.Dispose();
    }
}
