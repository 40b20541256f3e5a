using System.Reflection;
using Aspire.Hosting.Local;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;

namespace Aspire.Hosting.Testing;

/// <summary>
/// One run of an AppHost's entry point on a thread of its own. It stops in <c>Build</c> until the test asks for the
/// application; what it then gets stands for the test's application, and runs as long as that does.
/// </summary>
internal sealed class EntryPointRun(Assembly appHost, string[] args, Action<DistributedApplicationOptions, HostApplicationBuilderSettings> configure)
    : BuilderInterception, IAsyncDisposable
{
    private readonly TaskCompletionSource<DistributedApplicationBuilder> _builder = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _continue = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<DistributedApplication> _application = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public async Task<DistributedApplicationBuilder> StartAsync(CancellationToken cancellationToken)
    {
        var entryPoint = appHost.EntryPoint ?? throw new InvalidOperationException($"Assembly '{appHost.GetName().Name}' does not have an entry point.");
        Current = this;
        try
        {
            // The thread takes this execution context with it, and only what runs there is intercepted.
            new Thread(() => Run(entryPoint)) { IsBackground = true, Name = $"{appHost.GetName().Name}.EntryPoint" }.Start();
        }
        finally
        {
            Current = null;
        }

        return await _builder.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    public async Task<DistributedApplication> ContinueAsync(CancellationToken cancellationToken)
    {
        _continue.TrySetResult();
        return await _application.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    public override void Constructing(DistributedApplicationOptions options, HostApplicationBuilderSettings settings)
    {
        settings.Args = [.. settings.Args ?? [], .. args];
        settings.ApplicationName = appHost.GetName().Name;
        settings.Configuration ??= new ConfigurationManager();
        options.Args = settings.Args;
        options.AssemblyName = appHost.GetName().Name;
        options.DisableDashboard = true;
        options.EnableResourceLogging = true;

        configure(options, settings);

        var given = new ConfigurationManager();
        given.AddCommandLine(settings.Args ?? []);
        given.AddConfiguration(settings.Configuration);

        // An array: the configuration reads it again whenever a source is added, and must find the same each time.
        KeyValuePair<string, string?>[] defaults = [.. Defaults(given).Where(pair => given[pair.Key] is null)];
        settings.Configuration.AddInMemoryCollection(defaults);
    }

    public override DistributedApplication Build(DistributedApplicationBuilder builder)
    {
        _builder.TrySetResult(builder);
        _continue.Task.GetAwaiter().GetResult();
        var application = builder.BuildHost();
        _application.TrySetResult(new TestApplication(application));
        return new EntryPointApplication(application);
    }

    public async ValueTask DisposeAsync()
    {
        _continue.TrySetException(new OperationCanceledException("The test ended without building the application."));
        if (_application.Task.IsCompletedSuccessfully)
        {
            await (await _application.Task.ConfigureAwait(false)).DisposeAsync().ConfigureAwait(false);
        }
    }

    private void Run(MethodInfo entryPoint)
    {
        try
        {
            _ = entryPoint.Invoke(null, entryPoint.GetParameters().Length == 0 ? [] : [args]);
            Fail(new InvalidOperationException($"The entry point exited without building a {nameof(DistributedApplication)}."));
        }
        catch (TargetInvocationException exception)
        {
            Fail(exception.InnerException ?? exception);
        }
    }

    private void Fail(Exception exception)
    {
        _builder.TrySetException(exception);
        _application.TrySetException(exception);
    }

    /// <summary>What the AppHost's first launch profile would have set, and addresses that no test listens on.</summary>
    private Dictionary<string, string?> Defaults(ConfigurationManager given)
    {
        var defaults = new Dictionary<string, string?>
        {
            ["DcpPublisher:RandomizePorts"] = "true",
            ["ASPNETCORE_URLS"] = "http://localhost:8080",
            ["ASPIRE_DASHBOARD_OTLP_ENDPOINT_URL"] = "http://localhost:4317",
            ["ASPIRE_ALLOW_UNSECURED_TRANSPORT"] = "true",
        };
        var project = appHost.GetCustomAttributes<AssemblyMetadataAttribute>()
            .FirstOrDefault(static attribute => attribute.Key.Equals("apphostprojectpath", StringComparison.OrdinalIgnoreCase))?.Value;
        if (project is null || LaunchProfiles.Read(project) is not { Profiles: { Count: > 0 } profiles })
        {
            return defaults;
        }

        var name = given["DOTNET_LAUNCH_PROFILE"] ?? profiles.First().Key;
        if (!profiles.TryGetValue(name, out var profile))
        {
            throw new InvalidOperationException($"The configured launch profile, '{name}', was not found in the launch settings file.");
        }

        defaults["DOTNET_LAUNCH_PROFILE"] = name;
        foreach (var (variable, value) in profile.EnvironmentVariables)
        {
            defaults.TryAdd(variable, value);
            foreach (var prefix in new[] { "DOTNET_", "ASPNETCORE_" })
            {
                if (variable.StartsWith(prefix, StringComparison.OrdinalIgnoreCase))
                {
                    defaults.TryAdd(variable[prefix.Length..], value);
                }
            }
        }

        return defaults;
    }
}
