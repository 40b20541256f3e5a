using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.Receiver;

/// <summary>The endpoint that answers as its scripts say, and its two own paths.</summary>
internal sealed class ReceiverApp(ReceiverOptions options, TimeProvider time, TextWriter output)
{
    private const int MostBody = 8 * 1024 * 1024;

    // Everything else may be a secret: what a webhook was given as its own headers, and the signature.
    private static readonly string[] Shown = ["webhook-id", "webhook-timestamp", "content-type", "user-agent", "traceparent"];

    private readonly ScriptTable _scripts = new(options.Scripts);
    private readonly RequestLog _log = new(options.Keep);

    public WebApplication Build()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Configuration.Sources.Clear();
        builder.Configuration.AddInMemoryCollection();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(options.Address, options.Port);
            kestrel.Limits.MaxRequestBodySize = MostBody;
            kestrel.AddServerHeader = false;
        });
        // A script that hangs must not hold up the end.
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(1));
        var app = builder.Build();
        app.MapGet("/_log", (string? last) => Log(last));
        app.MapGet("/_script", () => Results.Json(_scripts.Texts()));
        app.MapPost("/_script", (HttpRequest request, CancellationToken cancellationToken) => ChangeAsync(request, cancellationToken));
        app.Map("/{**path}", ReceiveAsync);
        return app;
    }

    private IResult Log(string? last)
    {
        var count = 100;
        return last is null || (int.TryParse(last, NumberStyles.None, CultureInfo.InvariantCulture, out count) && count >= 1 && count <= options.Keep)
            ? Results.Json(_log.Last(count), JsonSerializerOptions.Web)
            : Refuse($"last: \"{last}\" is not 1 to {options.Keep}; --keep raises the limit");
    }

    private async Task<IResult> ChangeAsync(HttpRequest request, CancellationToken cancellationToken)
    {
        // A web page cannot send this type to another site without asking first, so none can change the scripts of whoever looks at it.
        if (!request.HasJsonContentType())
        {
            return Results.Json(new { problems = (string[])["send it as Content-Type: application/json"] }, statusCode: StatusCodes.Status415UnsupportedMediaType);
        }

        Dictionary<string, string>? texts;
        try
        {
            texts = await request.ReadFromJsonAsync<Dictionary<string, string>>(cancellationToken);
        }
        catch (JsonException)
        {
            texts = null;
        }

        if (texts is null or { Count: 0 })
        {
            return Refuse("the body is no JSON object of paths and scripts; send e.g. {\"/orders\": \"500x3,200\"}");
        }

        var problems = new List<string>();
        var scripts = texts.Select(text => (Path: text.Key, Script: ScriptTable.Read(text.Key, text.Value ?? "", "", problems))).ToArray();
        if (problems.Count > 0)
        {
            return Refuse([.. problems]);
        }

        foreach (var (path, script) in scripts)
        {
            _scripts.Set(path, script!);
        }

        return Results.Json(_scripts.Texts());
    }

    private async Task ReceiveAsync(HttpContext context)
    {
        using var body = new MemoryStream();
        try
        {
            await context.Request.Body.CopyToAsync(body, context.RequestAborted);
        }
        catch (BadHttpRequestException e)
        {
            context.Response.StatusCode = e.StatusCode;
            Record(context, body.ToArray(), SignatureVerdict.NotChecked, string.Create(CultureInfo.InvariantCulture, $"{e.StatusCode} ({e.Message})"));
            return;
        }

        var path = context.Request.Path.Value ?? "/";
        var headers = context.Request.Headers.ToDictionary(header => header.Key, header => header.Value.ToString(), StringComparer.OrdinalIgnoreCase);
        var secrets = options.Secrets.GetValueOrDefault(path) ?? options.Secrets.GetValueOrDefault(ScriptTable.AnyOther) ?? [];
        var bytes = body.ToArray();
        var verdict = StandardWebhookVerifier.Check(secrets, headers, bytes, time.GetUtcNow());
        if (options.Strict && verdict is not (SignatureVerdict.Verified or SignatureVerdict.NotChecked))
        {
            Record(context, bytes, verdict, "401");
            context.Response.StatusCode = StatusCodes.Status401Unauthorized;
            return;
        }

        var step = _scripts.Next(path);
        // Before the answer: it may never end.
        Record(context, bytes, verdict, step.Delay > TimeSpan.Zero ? $"{step.Text} after {step.Delay.TotalSeconds:0.###} s" : step.Text);
        await ScriptAnswer.GiveAsync(context, step);
    }

    private void Record(HttpContext context, byte[] body, SignatureVerdict verdict, string answer)
    {
        var (request, at) = (context.Request, time.GetUtcNow());
        var path = request.Path.Value ?? "/";
        var id = request.Headers["webhook-id"].ToString() is { Length: > 0 } given ? given : null;
        var headers = request.Headers
            .Where(header => Shown.Contains(header.Key, StringComparer.OrdinalIgnoreCase) || header.Key.StartsWith("ce-", StringComparison.OrdinalIgnoreCase))
            .ToDictionary(header => header.Key.ToLowerInvariant(), header => header.Value.ToString());
        var logged = _log.Add(
            (number, attempt) => new(
                number, at, request.Method, path, id, attempt, RequestLog.Name(verdict), body.Length, Convert.ToHexStringLower(SHA256.HashData(body)), answer, headers),
            path, id);
        output.WriteLine(RequestLog.Line(logged));
    }

    private static IResult Refuse(params string[] problems) => Results.Json(new { problems }, statusCode: StatusCodes.Status400BadRequest);
}
