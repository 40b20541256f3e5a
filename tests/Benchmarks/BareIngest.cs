using System.Buffers;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using NATS.Client.Core;
using NATS.Client.JetStream;

namespace RuleEngineNats.Benchmarks;

/// <summary>The bare counterpart of the ingestion API in a process of its own: reads the body, publishes it under a new id, answers 202 with that; nothing is looked at.</summary>
internal static class BareIngest
{
    private const int Window = 256;

    public static async Task RunAsync(int port, string nats)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(options => options.Listen(IPAddress.Loopback, port, listen => listen.Protocols = HttpProtocols.Http1));
        var connection = new NatsConnection(NatsOpts.Default with { Url = nats });
        await connection.ConnectAsync();
        var context = new NatsJSContext(connection);
        var app = builder.Build();
        app.MapPost("/message", (RequestDelegate)(request => MessageAsync(request, context)));
        app.MapPost("/batch", (RequestDelegate)(request => BatchAsync(request, context)));
        await app.RunAsync();
    }

    private static async Task MessageAsync(HttpContext request, NatsJSContext context)
    {
        var read = await request.Request.BodyReader.ReadAtLeastAsync((int)request.Request.ContentLength!.Value);
        var id = Guid.NewGuid().ToString();
        var ack = await context.PublishAsync(
            IngestBenchmarks.Subject, read.Buffer.ToArray(), NatsRawSerializer<byte[]>.Default, new NatsJSPubOpts { MsgId = id }, cancellationToken: request.RequestAborted);
        request.Request.BodyReader.AdvanceTo(read.Buffer.End);
        ack.EnsureSuccess();
        await AnswerAsync(request.Response, $$"""{"message_id":"{{id}}","status":"accepted"}""");
    }

    private static async Task BatchAsync(HttpContext request, NatsJSContext context)
    {
        var sent = new Queue<NatsJSPublishConcurrentFuture>(Window);
        var ids = new List<string>();
        while (true)
        {
            var read = await request.Request.BodyReader.ReadAsync();
            var rest = read.Buffer;
            while (TryTakeLine(ref rest, out var line))
            {
                ids.Add(Guid.NewGuid().ToString());
                sent.Enqueue(await context.PublishConcurrentAsync(IngestBenchmarks.Subject, line, NatsRawSerializer<byte[]>.Default, new NatsJSPubOpts { MsgId = ids[^1] }));
                if (sent.Count == Window)
                {
                    await ConfirmAsync(sent.Dequeue());
                }
            }

            request.Request.BodyReader.AdvanceTo(rest.Start, rest.End);
            if (read.IsCompleted)
            {
                break;
            }
        }

        while (sent.TryDequeue(out var future))
        {
            await ConfirmAsync(future);
        }

        await AnswerAsync(request.Response, $$"""{"results":[{{string.Join(',', ids.Select(id => $"\"{id}\""))}}]}""");
    }

    private static bool TryTakeLine(ref ReadOnlySequence<byte> rest, out byte[] line)
    {
        if (rest.PositionOf((byte)'\n') is not { } end)
        {
            line = [];
            return false;
        }

        line = rest.Slice(0, end).ToArray();
        rest = rest.Slice(rest.GetPosition(1, end));
        return true;
    }

    private static async Task ConfirmAsync(NatsJSPublishConcurrentFuture future)
    {
        await using (future)
        {
            (await future.GetResponseAsync()).EnsureSuccess();
        }
    }

    private static Task AnswerAsync(HttpResponse response, string json)
    {
        response.StatusCode = StatusCodes.Status202Accepted;
        response.ContentType = "application/json";
        return response.WriteAsync(json);
    }
}
