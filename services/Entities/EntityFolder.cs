using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace RuleEngineNats.Entities;

/// <summary>
/// The definitions in use. They are loaded when this is made, and again when a file changes; a folder with problems changes nothing. The files are
/// polled: change notices do not come through network file systems, nor reliably through a ConfigMap, which replaces a link.
/// </summary>
public sealed partial class EntityFolder : BackgroundService
{
    private const int MostLogged = 100;

    private readonly string? _folder;
    private readonly TimeSpan _interval;
    private readonly TimeProvider _time;
    private readonly ILogger<EntityFolder> _logger;
    private volatile EntityCatalog _current = EntityCatalog.Empty;
    private volatile IReadOnlyList<EntityProblem> _problems = [];
    private string _seen;

    /// <summary>Loads the folder; problems are in <see cref="Problems"/>.</summary>
    public EntityFolder(IOptions<IngestionEntitiesOptions> options, TimeProvider time, ILogger<EntityFolder> logger)
    {
        (_folder, _interval, _time, _logger) = (options.Value.Folder, options.Value.PollInterval, time, logger);
        if (string.IsNullOrEmpty(_folder))
        {
            _folder = null;
            _seen = "";
            return;
        }

        // What is seen first may change while it is read: then it is read again.
        _seen = Look(_folder);
        Load(_folder);
    }

    /// <summary>Raised after <see cref="Current"/> has changed, by the thread that looks at the files.</summary>
    public event EventHandler? Changed;

    /// <summary>The last definitions without problems; empty before there are any.</summary>
    public EntityCatalog Current => _current;

    /// <summary>What is wrong with the files as they are now; empty when <see cref="Current"/> is what they say.</summary>
    public IReadOnlyList<EntityProblem> Problems => _problems;

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (_folder is null)
        {
            return;
        }

        using var timer = new PeriodicTimer(_interval, _time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                Poll(_folder);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
    }

    private void Poll(string folder)
    {
        var now = Look(folder);
        if (now == _seen)
        {
            return;
        }

        _seen = now;
        try
        {
            if (Load(folder))
            {
                Changed?.Invoke(this, EventArgs.Empty);
            }
        }
        catch (Exception exception)
        {
            LogFailed(exception, folder);
        }
    }

    private bool Load(string folder)
    {
        var (catalog, problems) = EntityLoader.Load(folder);
        _problems = problems;
        if (catalog is null)
        {
            foreach (var problem in problems.Take(MostLogged))
            {
                LogProblem(problem);
            }

            LogKept(folder, problems.Count, _current.Version);
            return false;
        }

        var changed = catalog.Version != _current.Version;
        if (changed)
        {
            _current = catalog;
            LogLoaded(folder, catalog.Entities.Count, catalog.Version);
        }

        return changed;
    }

    private static string Look(string folder)
    {
        try
        {
            // A ConfigMap's files are links: the time that counts is that of what they lead to.
            return string.Join('\n', EntityLoader.Files(folder)
                .Select(file => file.ResolveLinkTarget(returnFinalTarget: true) as FileInfo is { } target ? (file.Name, File: target) : (file.Name, File: file))
                .Select(file => $"{file.Name} {file.File.FullName} {(file.File.Exists ? file.File.Length : -1)} {file.File.LastWriteTimeUtc.Ticks}"));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return exception.Message;
        }
    }

    [LoggerMessage(LogLevel.Information, "entities loaded from {Folder}: {Count}, version {Version}")]
    private partial void LogLoaded(string folder, int count, string version);

    [LoggerMessage(LogLevel.Error, "entity definition: {Problem}")]
    private partial void LogProblem(EntityProblem problem);

    [LoggerMessage(LogLevel.Error, "{Count} problems in {Folder}: version {Version} stays in use")]
    private partial void LogKept(string folder, int count, string version);

    [LoggerMessage(LogLevel.Error, "the entities of {Folder} were not taken over; they are tried again when a file changes")]
    private partial void LogFailed(Exception exception, string folder);
}
