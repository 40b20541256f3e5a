using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;

namespace RuleEngineNats.TestKit;

/// <summary>One request as it came in.</summary>
public sealed record ReceivedRequest(DateTimeOffset At, string Method, string Path, IReadOnlyDictionary<string, string> Headers, byte[] Body)
{
    public string Id => Headers.GetValueOrDefault("webhook-id", "");
}

/// <summary>A real HTTP endpoint that keeps every request and answers as a test tells it, by path.</summary>
public sealed class WebhookReceiver : IAsyncDisposable
{
    private readonly ConcurrentDictionary<string, Func<HttpContext, int, Task>> _answers = new();
    private readonly ConcurrentDictionary<string, int> _counts = new();
    private readonly ConcurrentQueue<ReceivedRequest> _requests = new();
    private readonly WebApplication _app;
    private Action _connecting = static () => { };

    private WebhookReceiver(WebApplication app, int port)
    {
        (_app, Port) = (app, port);
        app.Run(HandleAsync);
    }

    public int Port { get; }

    public IReadOnlyCollection<ReceivedRequest> Requests => _requests;

    public static async Task<WebhookReceiver> StartAsync(CancellationToken cancellationToken = default)
    {
        var port = Ports.Free();
        var builder = WebApplication.CreateSlimBuilder();
        // A service's appsettings.json lies beside the tests of that service, and its Kestrel endpoints would win over the port here.
        builder.Configuration.Sources.Clear();
        builder.Configuration.AddInMemoryCollection();
        builder.Logging.ClearProviders();
        WebhookReceiver? receiver = null;
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port, listen => listen.Use(next => connection =>
        {
            receiver?._connecting();
            return next(connection);
        })));
        receiver = new WebhookReceiver(builder.Build(), port);
        await receiver._app.StartAsync(cancellationToken);
        return receiver;
    }

    public string Url(string path) => string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{Port}{path}");

    public IEnumerable<ReceivedRequest> At(string path) => _requests.Where(request => request.Path == path);

    /// <summary>Answers the first requests at a path with these status codes, later ones with the last.</summary>
    public void Answer(string path, params int[] statuses) => Answer(path, (context, count) =>
    {
        context.Response.StatusCode = statuses[Math.Min(count, statuses.Length) - 1];
        return Task.CompletedTask;
    });

    /// <summary>Answers requests at a path in full control; the number counts them from 1.</summary>
    public void Answer(string path, Func<HttpContext, int, Task> answer) => _answers[path] = answer;

    /// <summary>Is called for each connection, before anything is read of it.</summary>
    public void Connecting(Action connecting) => _connecting = connecting;

    /// <summary>Answers requests at a path as a script says (<see cref="ReceiverScript.Syntax"/>), from its first step on.</summary>
    public void Script(string path, string script)
    {
        var running = ReceiverScript.Parse(script);
        Answer(path, (context, _) => ScriptAnswer.GiveAsync(context, running.Next()));
    }

    public Task WaitForAsync(Func<WebhookReceiver, bool> condition, string what, TimeSpan? deadline = null)
        => Wait.UntilAsync(() => condition(this), $"{what} ({_requests.Count} requests so far)", deadline);

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();

    private async Task HandleAsync(HttpContext context)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body, context.RequestAborted);
        var headers = context.Request.Headers.ToDictionary(header => header.Key, header => header.Value.ToString(), StringComparer.OrdinalIgnoreCase);
        var path = context.Request.Path.Value ?? "/";
        _requests.Enqueue(new(TimeProvider.System.GetUtcNow(), context.Request.Method, path, headers, body.ToArray()));
        var count = _counts.AddOrUpdate(path, 1, static (_, before) => before + 1);
        if (_answers.TryGetValue(path, out var answer))
        {
            await answer(context, count);
        }
    }
}
