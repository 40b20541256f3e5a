using System.Net;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using NATS.Client.Core;
using NATS.Client.JetStream;
using RuleEngineNats.Contracts.Publishing;
using PublishApi = RuleEngineNats.Contracts.Publishing.PublishService;

namespace RuleEngineNats.Benchmarks;

/// <summary>The bare counterpart in a process of its own: the same proto, and nothing between gRPC and the driver.</summary>
internal static class BareServer
{
    public static async Task RunAsync(int port, string nats)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(options => options.Listen(IPAddress.Loopback, port, listen => listen.Protocols = HttpProtocols.Http2));
        builder.Services.AddGrpc();
        var connection = new NatsConnection(NatsOpts.Default with { Url = nats });
        await connection.ConnectAsync();
        builder.Services.AddSingleton(new NatsJSContext(connection));
        var app = builder.Build();
        app.MapGrpcService<BarePublish>();
        await app.RunAsync();
    }
}

internal sealed class BarePublish(NatsJSContext context) : PublishApi.PublishServiceBase
{
    public override async Task<PublishResponse> Publish(PublishRequest request, ServerCallContext context1)
    {
        var ack = await context.PublishAsync(
            request.Subject, request.Payload.Memory, NatsRawSerializer<ReadOnlyMemory<byte>>.Default, cancellationToken: context1.CancellationToken);
        return new PublishResponse { Stream = ack.Stream, Sequence = ack.Seq };
    }

    public override async Task PublishStream(
        IAsyncStreamReader<PublishRequest> requestStream, IServerStreamWriter<PublishResult> responseStream, ServerCallContext context1)
    {
        var index = 0UL;
        await foreach (var request in requestStream.ReadAllAsync(context1.CancellationToken))
        {
            await responseStream.WriteAsync(new PublishResult { Index = index++, Stored = new PublishResponse { Stream = "S", Sequence = index, Subject = request.Subject } }, context1.CancellationToken);
        }
    }
}
