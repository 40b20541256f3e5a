using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace RuleEngineNats.Benchmarks;

/// <summary>An endpoint in a process of its own that reads what comes and answers 204; at /slow after 29 s, at /wrong with 500.</summary>
internal static class BareReceiver
{
    public static async Task RunAsync(int port)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(options => options.Listen(IPAddress.Loopback, port));
        var app = builder.Build();
        app.Run(async context =>
        {
            await context.Request.Body.CopyToAsync(Stream.Null);
            if (context.Request.Path == "/slow")
            {
                await Task.Delay(TimeSpan.FromSeconds(29), context.RequestAborted);
            }

            context.Response.StatusCode = context.Request.Path == "/wrong" ? StatusCodes.Status500InternalServerError : StatusCodes.Status204NoContent;
        });
        await app.RunAsync();
    }
}
