using System.Globalization;
using System.IO.Compression;
using System.Text;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;

namespace RuleEngineNats.TestKit;

/// <summary>Does with a request what a step says.</summary>
public static class ScriptAnswer
{
    private const int Chunk = 64 * 1024;
    private const int CutAt = 4096;
    private const int ZerosAMember = 1 << 20;

    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(100);

    private static readonly Lazy<byte[]> Member = new(static () => Compress(ZerosAMember));

    public static async Task GiveAsync(HttpContext context, ScriptStep step)
    {
        try
        {
            if (step.Delay > TimeSpan.Zero)
            {
                await Task.Delay(step.Delay, context.RequestAborted);
            }

            await GiveNowAsync(context, step);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The sender has had enough.
        }
    }

    private static async Task GiveNowAsync(HttpContext context, ScriptStep step)
    {
        switch (step.Action)
        {
            case ScriptAction.Drop:
                context.Abort();
                return;
            case ScriptAction.Hang:
                await Task.Delay(Timeout.Infinite, context.RequestAborted);
                return;
            case ScriptAction.Drip:
                await DripAsync(context, step.Size);
                return;
        }

        SetHead(context.Response, step);
        await (step.Action switch
        {
            ScriptAction.Cut => CutAsync(context),
            ScriptAction.Slow => SlowAsync(context, step),
            ScriptAction.Endless => EndlessAsync(context),
            ScriptAction.Bomb => BombAsync(context, step.Size),
            ScriptAction.Headers => HeadersAsync(context, step),
            _ => BodyAsync(context, step),
        });
    }

    private static void SetHead(HttpResponse response, ScriptStep step)
    {
        response.StatusCode = step.Status;
        foreach (var (name, value) in step.Headers)
        {
            response.Headers.Append(name, name.Equals("retry-after", StringComparison.OrdinalIgnoreCase) ? RetryAfter(value) : value);
        }
    }

    private static string RetryAfter(string value)
        => value.StartsWith("date:", StringComparison.Ordinal) && ScriptUnits.TryTime(value["date:".Length..], out var ahead)
            ? (TimeProvider.System.GetUtcNow() + ahead).ToString("R", CultureInfo.InvariantCulture)
            : value;

    private static async Task CutAsync(HttpContext context)
    {
        context.Response.ContentLength = 2 * CutAt;
        await context.Response.Body.WriteAsync(new byte[CutAt], context.RequestAborted);
        await context.Response.Body.FlushAsync(context.RequestAborted);
        // A flush only hands over to the connection, and a reset throws away what has not left.
        await Task.Delay(Tick, context.RequestAborted);
        context.Abort();
    }

    private static async Task SlowAsync(HttpContext context, ScriptStep step)
    {
        var body = step.Body.Length > 0 ? Encoding.UTF8.GetBytes(step.Body) : [.. Enumerable.Repeat((byte)'.', 1024)];
        context.Response.ContentLength = body.Length;
        await SendSlowlyAsync(
            body, step.Size, async part =>
            {
                await context.Response.Body.WriteAsync(part, context.RequestAborted);
                await context.Response.Body.FlushAsync(context.RequestAborted);
            },
            context.RequestAborted);
    }

    // Kestrel sends a whole head at once: below it, on the connection, a head can come as slowly as one likes.
    private static async Task DripAsync(HttpContext context, long rate)
    {
        var output = context.Features.Get<IConnectionTransportFeature>()!.Transport.Output;
        var next = Encoding.ASCII.GetBytes("HTTP/1.1 200 OK\r\nX-Drip: ");
        while (!context.RequestAborted.IsCancellationRequested)
        {
            await SendSlowlyAsync(next, rate, async part => await output.WriteAsync(part, context.RequestAborted), context.RequestAborted);
            next = [.. Enumerable.Repeat((byte)'a', 1024)];
        }
    }

    private static async Task SendSlowlyAsync(ReadOnlyMemory<byte> bytes, long rate, Func<ReadOnlyMemory<byte>, Task> send, CancellationToken cancellationToken)
    {
        // Ten parts a second, or a byte at a time where that is more.
        var part = (int)Math.Clamp(rate / 10, 1, bytes.Length);
        var pause = rate >= 10 ? Tick : TimeSpan.FromSeconds(1d / rate);
        for (var start = 0; start < bytes.Length; start += part)
        {
            await send(bytes.Slice(start, Math.Min(part, bytes.Length - start)));
            await Task.Delay(pause, cancellationToken);
        }
    }

    private static async Task EndlessAsync(HttpContext context)
    {
        var junk = new byte[Chunk];
        while (!context.RequestAborted.IsCancellationRequested)
        {
            await context.Response.Body.WriteAsync(junk, context.RequestAborted);
        }
    }

    // Members of a gzip stream may follow each other, so a GiB of zeros is a thousand times the same thousand bytes.
    private static async Task BombAsync(HttpContext context, long size)
    {
        context.Response.Headers.ContentEncoding = "gzip";
        for (; size >= ZerosAMember; size -= ZerosAMember)
        {
            await context.Response.Body.WriteAsync(Member.Value, context.RequestAborted);
        }

        if (size > 0)
        {
            await context.Response.Body.WriteAsync(Compress((int)size), context.RequestAborted);
        }
    }

    private static Task HeadersAsync(HttpContext context, ScriptStep step)
    {
        const int Line = 1024;
        for (var (number, left) = (0, step.Size); left > 0; number++, left -= Line)
        {
            var name = string.Create(CultureInfo.InvariantCulture, $"X-Filler-{number}");
            // With ": " before it and a line end after it.
            context.Response.Headers[name] = new string('a', (int)Math.Max(1, Math.Min(left, Line) - name.Length - 4));
        }

        return BodyAsync(context, step);
    }

    // Even nothing may not be written after a 204.
    private static Task BodyAsync(HttpContext context, ScriptStep step)
        => step.Body.Length > 0 ? context.Response.WriteAsync(step.Body, context.RequestAborted) : Task.CompletedTask;

    private static byte[] Compress(int zeros)
    {
        using var compressed = new MemoryStream();
        using (var gzip = new GZipStream(compressed, CompressionLevel.Optimal))
        {
            gzip.Write(new byte[zeros]);
        }

        return compressed.ToArray();
    }
}
