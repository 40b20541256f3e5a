using System.Security.Cryptography;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Aspire.Hosting.Local;

/// <summary>The genuine dashboard in its standalone mode: telemetry, without the list of resources.</summary>
internal sealed partial class LocalDashboard(IServiceProvider provider)
{
    private readonly ILogger _log = provider.GetRequiredService<ILoggerFactory>().CreateLogger("Aspire.Hosting.Dashboard");
    private LocalProcess? _process;

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var configuration = provider.GetRequiredService<IConfiguration>();
        if (provider.GetRequiredService<DistributedApplicationOptions>().DisableDashboard)
        {
            return;
        }

        if (Find(configuration) is not { } program)
        {
            LogNotFound();
            return;
        }

        var url = (configuration["ASPNETCORE_URLS"] ?? configuration["urls"])?.Split(';')[0] ?? $"http://localhost:{LocalPorts.Free()}";
        var isOpen = configuration.GetValue<bool>("ASPIRE_DASHBOARD_UNSECURED_ALLOW_ANONYMOUS");
        var token = configuration["AppHost:BrowserToken"] ?? configuration["ASPIRE_DASHBOARD_FRONTEND_BROWSERTOKEN"] ?? RandomNumberGenerator.GetHexString(32, lowercase: true);
        var otlpKey = configuration["AppHost:OtlpApiKey"];
        var apiKey = configuration["AppHost:DashboardApiKey"];

        var environment = configuration.AsEnumerable()
            .Where(static pair => pair.Value is not null && (pair.Key.StartsWith("ASPIRE_DASHBOARD_", StringComparison.OrdinalIgnoreCase) || pair.Key.StartsWith("DASHBOARD:", StringComparison.OrdinalIgnoreCase)))
            .ToDictionary(static pair => pair.Key.Replace(":", "__", StringComparison.Ordinal), static pair => pair.Value!);
        environment["ASPNETCORE_URLS"] = url;
        environment["ASPNETCORE_ENVIRONMENT"] = provider.GetRequiredService<IHostEnvironment>().EnvironmentName;
        environment.TryAdd("ASPIRE_DASHBOARD_OTLP_ENDPOINT_URL", OtlpEndpoint.Default);
        environment["ASPIRE_DASHBOARD_API_ENABLED"] = "true";
        environment["DASHBOARD__FRONTEND__AUTHMODE"] = isOpen ? "Unsecured" : "BrowserToken";
        environment["DASHBOARD__FRONTEND__BROWSERTOKEN"] = token;
        environment["DASHBOARD__OTLP__AUTHMODE"] = otlpKey is null ? "Unsecured" : "ApiKey";
        environment["DASHBOARD__OTLP__PRIMARYAPIKEY"] = otlpKey ?? "";
        environment["DASHBOARD__API__AUTHMODE"] = apiKey is null ? "Unsecured" : "ApiKey";
        environment["DASHBOARD__API__PRIMARYAPIKEY"] = apiKey ?? "";

        foreach (var address in new[] { url, environment["ASPIRE_DASHBOARD_OTLP_ENDPOINT_URL"], environment.GetValueOrDefault("ASPIRE_DASHBOARD_OTLP_HTTP_ENDPOINT_URL") })
        {
            if (Uri.TryCreate(address, UriKind.Absolute, out var uri) && uri.Port > 0 && !LocalPorts.IsFree(uri.Port))
            {
                throw new DistributedApplicationException($"Resource 'aspire-dashboard' cannot listen on port {uri.Port}: the port is already in use.");
            }
        }

        var listening = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _process = await LocalProcess.StartAsync(new LocalCommand(program, ["dashboard"]) { Environment = environment }, OnLine).ConfigureAwait(false);
        await Task.WhenAny(listening.Task, _process.Exited, Task.Delay(TimeSpan.FromSeconds(30), cancellationToken)).ConfigureAwait(false);
        if (_process.Exited.IsCompleted)
        {
            LogEnded(await _process.Exited.ConfigureAwait(false));
            return;
        }

        LogListening(url);
        if (!isOpen)
        {
            LogLogin($"{url}/login?t={token}");
        }

        void OnLine(string line, bool isError)
        {
            if (line.Contains("listening on", StringComparison.OrdinalIgnoreCase))
            {
                listening.TrySetResult();
            }
            else if (isError || line.StartsWith("fail:", StringComparison.Ordinal) || line.StartsWith("crit:", StringComparison.Ordinal))
            {
                LogLine(line);
            }
        }
    }

    public Task StopAsync(CancellationToken cancellationToken) => _process?.StopAsync(TimeSpan.FromSeconds(5), cancellationToken) ?? Task.CompletedTask;

    public void Kill() => _process?.Kill();

    private static string? Find(IConfiguration configuration)
    {
        if (configuration["OFFLINE_ASPIRE_DASHBOARD"] is { Length: > 0 } given)
        {
            return given;
        }

        for (var directory = new DirectoryInfo(configuration["AppHost:Directory"] ?? "."); directory is not null; directory = directory.Parent)
        {
            foreach (var place in new[] { "managed/aspire-managed", "aspire-managed" })
            {
                var file = Path.Combine(directory.FullName, "offline", ".bundle", place);
                if (File.Exists(file))
                {
                    return file;
                }
            }
        }

        return null;
    }

    [LoggerMessage(LogLevel.Information, "Now listening on: {Url}")]
    private partial void LogListening(string url);

    [LoggerMessage(LogLevel.Information, "Login to the dashboard at {Url}")]
    private partial void LogLogin(string url);

    [LoggerMessage(LogLevel.Warning, "The dashboard was not found; going on without it")]
    private partial void LogNotFound();

    [LoggerMessage(LogLevel.Error, "The dashboard ended with exit code {ExitCode}; going on without it")]
    private partial void LogEnded(int exitCode);

    [LoggerMessage(LogLevel.Warning, "{Line}")]
    private partial void LogLine(string line);
}

internal static class OtlpEndpoint
{
    public const string Default = "http://localhost:18889";

    public static bool HasNoListener(string url) => Uri.TryCreate(url, UriKind.Absolute, out var uri) && uri.IsLoopback && LocalPorts.IsFree(uri.Port);

    public static (string Url, string Protocol) Of(IConfiguration configuration) =>
        (configuration["ASPIRE_DASHBOARD_OTLP_ENDPOINT_URL"] ?? configuration["DOTNET_DASHBOARD_OTLP_ENDPOINT_URL"]) is { Length: > 0 } grpc ? (grpc, "grpc")
        : configuration["ASPIRE_DASHBOARD_OTLP_HTTP_ENDPOINT_URL"] is { Length: > 0 } http ? (http, "http/protobuf")
        : (Default, "grpc");
}
