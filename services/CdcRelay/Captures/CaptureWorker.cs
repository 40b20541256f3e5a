using Microsoft.Extensions.Options;
using RuleEngineNats.CdcRelay.Outbox;
using RuleEngineNats.ChangeCapture;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.CdcRelay.Captures;

/// <summary>
/// Runs the captures of <c>rule_cdc_captures</c>, each in one relay of all: starts and stops them as the table says, reports on them, and tries again what failed.
/// Their slots are their own: the outbox stands still for none of them.
/// </summary>
internal sealed partial class CaptureWorker(
    CaptureTables tables, RelayConnections connections, CreateCapture create, CaptureBoard board, ConfigWatcher config, IOptions<ChangesOptions> options, TimeProvider time, ILogger<CaptureWorker> logger)
    : BackgroundService
{
    private readonly Dictionary<string, RunCapture> _running = [];
    private readonly Dictionary<string, long> _failedAt = [];

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await config.WaitForFirstAsync(stoppingToken);
            while (true)
            {
                await FollowAsync(stoppingToken);
                await Task.Delay(options.Value.Interval, time, stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // Stopping.
        }
        finally
        {
            await Task.WhenAll(_running.Values.Select(capture => capture.DisposeAsync().AsTask()));
        }
    }

    private async Task FollowAsync(CancellationToken cancellationToken)
    {
        IReadOnlyList<CaptureDefinition> definitions;
        try
        {
            definitions = await tables.ReadAsync(cancellationToken);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            NotRead(exception.Message);
            return;
        }

        foreach (var gone in _running.Keys.Except(definitions.Select(definition => definition.Name)).ToArray())
        {
            await StopAsync(gone);
        }

        foreach (var definition in definitions)
        {
            try
            {
                await FollowAsync(definition, cancellationToken);
            }
            catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
            {
                // The lock is lost, or PostgreSQL is away: what runs without the lock must not.
                Interrupted(definition.Name, exception.Message);
                await StopAsync(definition.Name);
            }
        }

        board.Show(_running.Values);
    }

    private async Task FollowAsync(CaptureDefinition definition, CancellationToken cancellationToken)
    {
        var running = _running.GetValueOrDefault(definition.Name);
        var nats = create.NatsSettings(definition.Settings);
        if (running is not null && (!definition.Wanted || IsOld(running, definition, nats)))
        {
            await StopAsync(definition.Name);
            running = null;
        }

        if (definition.Dropped && !definition.Taken)
        {
            await tables.DropAsync(definition.Name, definition.Settings.Slot, cancellationToken);
            Dropped(definition.Name, definition.Settings.Slot);
        }
        else if (definition.Wanted && nats is not null && (running is not null || !definition.Taken))
        {
            await RunAsync(definition, nats, running, cancellationToken);
        }
    }

    private bool IsOld(RunCapture running, CaptureDefinition definition, ConnectionSettings? nats)
        => running.Definition.Settings != definition.Settings
        || running.Nats != nats
        || (definition.Recover && !running.Definition.Recover)
        || (_failedAt.TryGetValue(definition.Name, out var failed) && time.GetElapsedTime(failed) > options.Value.RetryFailed);

    private async Task RunAsync(CaptureDefinition definition, ConnectionSettings nats, RunCapture? running, CancellationToken cancellationToken)
    {
        if (running is null)
        {
            running = await RunCapture.StartAsync(connections, definition, nats, progress => create.Create(definition, nats, progress), cancellationToken);
            if (running is null)
            {
                return;
            }

            _running[definition.Name] = running;
            _failedAt.Remove(definition.Name);
            Running(definition.Name, definition.Settings.Slot);
        }

        await running.ReportAsync(cancellationToken);
        if (running.Status.State is CaptureState.Capturing)
        {
            if (definition.Recover || !definition.HadSlot)
            {
                await tables.CapturingAsync(definition.Name, cancellationToken);
            }

            if (definition.Asked)
            {
                await tables.BeginSnapshotsAsync(definition.Name, definition.Settings.Slot, cancellationToken);
            }
        }

        if (running.Problem is { } problem && _failedAt.TryAdd(definition.Name, time.GetTimestamp()))
        {
            Failed(definition.Name, problem);
            if (running.Failure is CaptureFailure.Paused)
            {
                await tables.PauseAsync(definition.Name, problem, cancellationToken);
            }
        }
    }

    private async Task StopAsync(string name)
    {
        if (_running.Remove(name, out var running))
        {
            await running.DisposeAsync();
            Stopped(name);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "running capture {Capture} on slot {Slot}")]
    private partial void Running(string capture, string slot);

    [LoggerMessage(Level = LogLevel.Information, Message = "capture {Capture} is not run here any more")]
    private partial void Stopped(string capture);

    [LoggerMessage(Level = LogLevel.Information, Message = "capture {Capture} and its slot {Slot} are gone, as asked")]
    private partial void Dropped(string capture, string slot);

    [LoggerMessage(Level = LogLevel.Error, Message = "capture {Capture} cannot go on: {Problem}")]
    private partial void Failed(string capture, string problem);

    [LoggerMessage(Level = LogLevel.Warning, Message = "capture {Capture} is interrupted: {Reason}")]
    private partial void Interrupted(string capture, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "captures could not be read: {Reason}")]
    private partial void NotRead(string reason);
}
