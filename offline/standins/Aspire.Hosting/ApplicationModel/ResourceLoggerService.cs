using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Aspire.Hosting.ApplicationModel;

public readonly record struct LogLine(int LineNumber, string Content, bool IsErrorMessage);

/// <summary>Keeps the newest lines of each resource, and shows all of them as they come.</summary>
public class ResourceLoggerService : IDisposable
{
    private const int KeptLines = 10_000;

    private readonly ConcurrentDictionary<string, ResourceLog> _logs = new(StringComparer.OrdinalIgnoreCase);
    private readonly Action<string, string, bool> _show;

    public ResourceLoggerService()
        : this(static (_, _, _) => { })
    {
    }

    internal ResourceLoggerService(Action<string, string, bool> show) => _show = show;

    public ILogger GetLogger(IResource resource) => GetLogger(resource.Name);

    public ILogger GetLogger(string resourceName) => Log(resourceName);

    public IAsyncEnumerable<IReadOnlyList<LogLine>> WatchAsync(IResource resource) => WatchAsync(resource.Name);

    public IAsyncEnumerable<IReadOnlyList<LogLine>> WatchAsync(string resourceName) => Log(resourceName).WatchAsync();

    public IAsyncEnumerable<IReadOnlyList<LogLine>> GetAllAsync(IResource resource) => GetAllAsync(resource.Name);

    public async IAsyncEnumerable<IReadOnlyList<LogLine>> GetAllAsync(string resourceName)
    {
        await Task.CompletedTask.ConfigureAwait(false);
        yield return Log(resourceName).Kept();
    }

    public void Complete(IResource resource) => Complete(resource.Name);

    public void Complete(string name) => Log(name).Complete();

    public void ClearBacklog(string resourceName) => Log(resourceName).Clear();

    public void Dispose()
    {
        foreach (var log in _logs.Values)
        {
            log.Complete();
        }

        GC.SuppressFinalize(this);
    }

    internal static Action<string, string, bool> ShownBy(DistributedApplicationOptions options, IHostEnvironment environment, ILoggerFactory loggers, IConfiguration configuration)
    {
        if (configuration["OFFLINE_ASPIRE_QUIET"] is "true")
        {
            return static (_, _, _) => { };
        }

        if (!options.EnableResourceLogging)
        {
            return static (resource, line, isError) => (isError ? Console.Error : Console.Out).WriteLine($"{resource}: {line}");
        }

        return (resource, line, isError) => loggers.CreateLogger($"{environment.ApplicationName}.Resources.{resource}")
            .Log(isError ? LogLevel.Error : LogLevel.Information, default, line, null, static (line, _) => line);
    }

    internal void Write(string resourceName, string line, bool isError) => Log(resourceName).Write(line, isError);

    private ResourceLog Log(string name) => _logs.GetOrAdd(name, static (name, show) => new ResourceLog(name, show), _show);

    private sealed class ResourceLog(string name, Action<string, string, bool> show) : ILogger
    {
        private readonly Queue<LogLine> _kept = [];
        private readonly HashSet<Channel<LogLine>> _watchers = [];
        private int _lines;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel is >= LogLevel.Information and not LogLevel.None;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel))
            {
                Write(formatter(state, exception) + (exception is null ? "" : Environment.NewLine + exception), logLevel >= LogLevel.Error);
            }
        }

        public void Write(string content, bool isError)
        {
            lock (_kept)
            {
                var line = new LogLine(++_lines, content, isError);
                _kept.Enqueue(line);
                if (_kept.Count > KeptLines)
                {
                    _kept.Dequeue();
                }

                foreach (var watcher in _watchers)
                {
                    watcher.Writer.TryWrite(line);
                }
            }

            show(name, content, isError);
        }

        public LogLine[] Kept()
        {
            lock (_kept)
            {
                return [.. _kept];
            }
        }

        public void Clear()
        {
            lock (_kept)
            {
                _kept.Clear();
            }
        }

        public void Complete()
        {
            lock (_kept)
            {
                foreach (var watcher in _watchers)
                {
                    watcher.Writer.TryComplete();
                }
            }
        }

        public async IAsyncEnumerable<IReadOnlyList<LogLine>> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
        {
            var channel = Channel.CreateUnbounded<LogLine>();
            LogLine[] kept;
            lock (_kept)
            {
                kept = [.. _kept];
                _watchers.Add(channel);
            }

            try
            {
                if (kept.Length > 0)
                {
                    yield return kept;
                }

                await foreach (var line in channel.Reader.ReadAllAsync(cancellationToken).ConfigureAwait(false))
                {
                    yield return [line];
                }
            }
            finally
            {
                lock (_kept)
                {
                    _watchers.Remove(channel);
                }
            }
        }
    }
}
