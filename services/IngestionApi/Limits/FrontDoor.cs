using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;
using RuleEngineNats.IngestionApi.Problems;
using RuleEngineNats.Problems;

namespace RuleEngineNats.IngestionApi.Limits;

/// <summary>What is refused before any route is looked for, and what Kestrel is told to bound by itself.</summary>
internal static class FrontDoor
{
    // Where a request has both headers, Kestrel goes by Transfer-Encoding and keeps the other one under this name.
    private const string LengthBesideEncoding = "X-Content-Length";

    // What is a little too long is to be told so with a body; Kestrel's own 414 has none.
    private const int MaxRequestLine = 2 * IngestionOptions.MaxUrlBytes;
    private const int RequestBuffer = 64 * 1024;
    private const int Http2Window = 128 * 1024;

    public static void AddFrontDoor(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<PublishPlaces>();
        builder.Services.AddSingleton<ClientRates>();
        builder.Services.AddSingleton<Admission>();
        builder.Services.AddOptions<KestrelServerOptions>().Configure<IOptions<IngestionOptions>>((kestrel, options) =>
        {
            kestrel.AddServerHeader = false;
            kestrel.AllowSynchronousIO = false;
            kestrel.Limits.MaxRequestLineSize = MaxRequestLine;
            kestrel.Limits.MaxRequestBodySize = Math.Max(options.Value.MaxBatchBytes, options.Value.MaxMessageBytes);
            // Besides what a route has looked at and keeps: this many bytes for each of the connections.
            kestrel.Limits.MaxRequestBufferSize = RequestBuffer;
            kestrel.Limits.MaxConcurrentConnections = options.Value.MaxConnections;
            kestrel.Limits.RequestHeadersTimeout = options.Value.HeadersTimeout;
            kestrel.Limits.MinRequestBodyDataRate = options.Value.MinBodyBytesPerSecond == 0
                ? null : new MinDataRate(options.Value.MinBodyBytesPerSecond, options.Value.BodyGrace);
            kestrel.Limits.Http2.MaxStreamsPerConnection = 100;
            kestrel.Limits.Http2.InitialConnectionWindowSize = Http2Window;
            kestrel.Limits.Http2.InitialStreamWindowSize = Http2Window;
        });
    }

    public static void UseFrontDoor(this WebApplication app) => app.Use(static (context, next) =>
        Refuse(context) is { } problem ? problem.WriteAsync(context) : next(context));

    private static Problem? Refuse(HttpContext context)
    {
        var request = context.Features.GetRequiredFeature<IHttpRequestFeature>();
        if (request.RawTarget.Length > IngestionOptions.MaxUrlBytes)
        {
            return new Refusal(414, "uri_too_long", "path", $"the address is longer than {IngestionOptions.MaxUrlBytes} bytes", "Send what is long in the body.")
            { Limit = IngestionOptions.MaxUrlBytes }.ToProblem();
        }

        if (request.Headers.TransferEncoding.Count > 0 && request.Headers.ContainsKey(LengthBesideEncoding))
        {
            // Whoever was in between may have taken another part of what follows for this body.
            context.Response.Headers.Connection = "close";
            return new Refusal(400, "ambiguous_length", "Content-Length", "the request has Content-Length and Transfer-Encoding", "Send one of them.").ToProblem();
        }

        return null;
    }
}
