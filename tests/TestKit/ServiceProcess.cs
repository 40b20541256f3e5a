using System.Globalization;

namespace RuleEngineNats.TestKit;

/// <summary>A service of this repository as a process of its own, ready to be killed.</summary>
public sealed class ServiceProcess : IAsyncDisposable
{
    private static readonly HttpClient Http = new() { Timeout = TimeSpan.FromSeconds(5) };

    private readonly string _assembly;
    private readonly Dictionary<string, string?> _environment;
    private ChildProcess _process;

    private ServiceProcess(string name, Dictionary<string, string?> environment, int httpPort, int grpcPort)
    {
        (Name, _assembly, _environment, HttpPort, GrpcPort) = (name, Repository.Service(name), environment, httpPort, grpcPort);
        _process = Launch();
    }

    public string Name { get; }

    public int Id => _process.Id;

    public int HttpPort { get; }

    public int GrpcPort { get; }

    public Uri HttpUrl => new($"http://127.0.0.1:{HttpPort}");

    public Uri GrpcUrl => new($"http://127.0.0.1:{GrpcPort}");

    public string Output => _process.Output;

    public bool HasExited => _process.HasExited;

    /// <summary>Starts it and waits until <c>/health/ready</c> says 200.</summary>
    /// <param name="name">Project and assembly name, e.g. <c>CdcRelay</c>.</param>
    /// <param name="environment">Further configuration, e.g. <c>ConnectionStrings__rules</c>.</param>
    /// <param name="waitUntilReady">False to see a service that cannot become ready yet.</param>
    public static async Task<ServiceProcess> StartAsync(
        string name,
        IReadOnlyDictionary<string, string?> environment,
        bool waitUntilReady = true,
        CancellationToken cancellationToken = default)
    {
        var (http, grpc) = (Ports.Free(), Ports.Free());
        var settings = new Dictionary<string, string?>
        {
            ["DOTNET_ENVIRONMENT"] = "Development",
            ["ASPNETCORE_ENVIRONMENT"] = "Development",
            ["Kestrel__Endpoints__http__Url"] = string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{http}"),
        };
        if (name is "PublishService" or "ConfigService")
        {
            settings["Kestrel__Endpoints__grpc__Url"] = string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{grpc}");
        }

        foreach (var (key, value) in environment)
        {
            settings[key] = value;
        }

        var service = new ServiceProcess(name, settings, http, grpc);
        if (waitUntilReady)
        {
            try
            {
                await service.ReadyAsync(cancellationToken);
            }
            catch
            {
                await service.DisposeAsync();
                throw;
            }
        }

        return service;
    }

    public Task KillAsync() => _process.KillAsync();

    public Task<int> TerminateAsync(TimeSpan? deadline = null) => _process.TerminateAsync(deadline);

    public void Pause() => _process.Pause();

    public void Resume() => _process.Resume();

    public async Task RestartAsync(bool waitUntilReady = true, CancellationToken cancellationToken = default)
    {
        await _process.DisposeAsync();
        _process = Launch();
        if (waitUntilReady)
        {
            await ReadyAsync(cancellationToken);
        }
    }

    /// <summary>The answer of <c>/health/ready</c>: status code and the JSON that names what is missing.</summary>
    public async Task<(int Status, string Body)> HealthAsync(CancellationToken cancellationToken = default)
    {
        using var response = await Http.GetAsync(new Uri(HttpUrl, "/health/ready"), cancellationToken);
        return ((int)response.StatusCode, await response.Content.ReadAsStringAsync(cancellationToken));
    }

    public async Task ReadyAsync(CancellationToken cancellationToken = default)
    {
        try
        {
            await Wait.UntilAsync(
                async () => _process.HasExited || (await HealthAsync(cancellationToken)).Status == 200,
                $"{Name} is ready",
                cancellationToken: cancellationToken);
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{e.Message}; its output:\n{Output}", e);
        }

        if (_process.HasExited)
        {
            throw new InvalidOperationException($"{Name} ended with {_process.ExitCode}:\n{Output}");
        }
    }

    /// <summary>Waits until its output has this text: what a process has written is read a moment later.</summary>
    public async Task SaysAsync(string text, TimeSpan? deadline = null)
    {
        try
        {
            await Wait.UntilAsync(() => Output.Contains(text, StringComparison.Ordinal), $"{Name} says \"{text}\"", deadline);
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{e.Message}; its output:\n{Output}", e);
        }
    }

    public ValueTask DisposeAsync() => _process.DisposeAsync();

    private ChildProcess Launch() => ChildProcess.Start("dotnet", [_assembly, "--contentRoot", Path.GetDirectoryName(_assembly)!], _environment);
}
