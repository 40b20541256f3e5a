using System.Globalization;
using System.Text.Json;
using Npgsql;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.AppHost.Tests;

internal sealed class RunningAppHost : IAsyncDisposable
{
    private static readonly TimeSpan StartTime = TimeSpan.FromMinutes(3);

    private readonly ChildProcess _process;
    private readonly Dictionary<string, string> _endpoints;
    private readonly int[] _processes;

    private RunningAppHost(ChildProcess process, string file, Dictionary<string, string> endpoints, int[] processes)
        => (_process, EndpointsFile, _endpoints, _processes) = (process, file, endpoints, processes);

    public string EndpointsFile { get; }

    public string ConnectionString
    {
        get
        {
            var uri = new Uri(_endpoints["postgres"]);
            var user = uri.UserInfo.Split(':', 2).Select(Uri.UnescapeDataString).ToArray();
            return new NpgsqlConnectionStringBuilder
            {
                Host = uri.Host,
                Port = uri.Port,
                Username = user[0],
                Password = user[1],
                Database = uri.AbsolutePath.Trim('/'),
            }.ConnectionString;
        }
    }

    public static async Task<RunningAppHost> StartAsync()
    {
        var file = Path.Combine(Path.GetTempPath(), $"endpoints-{Guid.NewGuid():N}.json");
        var process = ChildProcess.Start("dotnet", [typeof(Projects.AppHost).Assembly.Location, $"--EndpointsFile={file}", "--DataVolumes=false"],
            new Dictionary<string, string?>
            {
                ["DOTNET_ENVIRONMENT"] = "Development",
                ["ASPNETCORE_ENVIRONMENT"] = "Development",
                ["ASPNETCORE_URLS"] = Free(),
                ["ASPIRE_DASHBOARD_OTLP_ENDPOINT_URL"] = Free(),
                ["ASPIRE_RESOURCE_SERVICE_ENDPOINT_URL"] = Free(),
                ["ASPIRE_ALLOW_UNSECURED_TRANSPORT"] = "true",
                ["ASPIRE_DASHBOARD_UNSECURED_ALLOW_ANONYMOUS"] = "true",
            });
        try
        {
            await Wait.UntilAsync(() => File.Exists(file) || process.HasExited, "the graph is healthy", StartTime);
            var endpoints = JsonSerializer.Deserialize<Dictionary<string, string>>(await File.ReadAllTextAsync(file))!;
            return new(process, file, endpoints, [.. Descendants(process.Id)]);
        }
        catch (Exception e) when (e is TimeoutException or FileNotFoundException)
        {
            var output = process.Output;
            await process.DisposeAsync();
            throw new InvalidOperationException($"the AppHost did not start:\n{output}", e);
        }
    }

    public string Endpoint(string name) => _endpoints[name];

    /// <summary>SIGTERM, and the wait for its end.</summary>
    public Task<int> StopAsync() => _process.TerminateAsync();

    /// <summary>Those of the processes that it had started which still run.</summary>
    public IReadOnlyCollection<int> Survivors() => [.. _processes.Where(IsRunning)];

    public ValueTask DisposeAsync() => _process.DisposeAsync();

    private static string Free() => string.Create(CultureInfo.InvariantCulture, $"http://localhost:{Ports.Free()}");

    private static IEnumerable<int> Descendants(int parent)
    {
        foreach (var child in Directory.GetDirectories("/proc/" + parent.ToString(CultureInfo.InvariantCulture) + "/task")
            .SelectMany(task => File.ReadAllText(Path.Combine(task, "children")).Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Select(id => int.Parse(id, CultureInfo.InvariantCulture)))
        {
            yield return child;
            foreach (var further in Descendants(child))
            {
                yield return further;
            }
        }
    }

    // A zombie has ended; only nobody has asked how.
    private static bool IsRunning(int process)
    {
        var status = $"/proc/{process.ToString(CultureInfo.InvariantCulture)}/stat";
        return File.Exists(status) && File.ReadAllText(status).Split(") ")[^1][0] != 'Z';
    }
}
