using Microsoft.Extensions.Logging;
using Npgsql;
using RuleEngineNats.ChangeCapture.Filters;
using RuleEngineNats.ChangeCapture.Formats;
using RuleEngineNats.ChangeCapture.Outputs;
using RuleEngineNats.ChangeCapture.Replication;

namespace RuleEngineNats.ChangeCapture;

/// <summary>
/// Change data capture: reads one logical replication slot and brings every change to every output, in the order of the commits. The slot is
/// confirmed only as far as all of it is stored; either side may go away and come back as often as it likes.
/// </summary>
/// <param name="options">What is captured, and where it goes.</param>
/// <param name="loggers">Where the log goes.</param>
/// <param name="time">The clock.</param>
public sealed partial class Capture(CaptureOptions options, ILoggerFactory loggers, TimeProvider time)
{
    private readonly ILogger _logger = loggers.CreateLogger<Capture>();

    /// <summary>Runs until it is stopped.</summary>
    /// <exception cref="CaptureException">The options are wrong, something that they name does not exist, or the slot was lost: trying again would not help.</exception>
    public async Task RunAsync(CancellationToken stopping)
    {
        if (CaptureOptionsRules.Problems(options) is { Count: > 0 } problems)
        {
            throw new CaptureException(string.Join(Environment.NewLine, problems));
        }

        TransactionSpool.Check(options.SpoolDirectory);
        var filter = new CaptureFilter(options);
        var source = new CaptureSource(options, filter, loggers.CreateLogger<CaptureSource>());
        var outputs = new List<ChangeOutput>();
        try
        {
            OpenOutputs(outputs);
            var pipeline = new EventPipeline(options.Slot, new(options.SubjectPrefix), outputs);
            await RunAsync(source, filter, pipeline, outputs, stopping);
        }
        finally
        {
            foreach (var output in outputs)
            {
                await output.DisposeAsync();
            }
        }
    }

    private void OpenOutputs(List<ChangeOutput> outputs)
    {
        var shape = new RowShape(options.WithTransaction, options.Values, System.Text.Encoding.UTF8.GetBytes(options.HashSalt));
        EventFormat json = options.Format is OutputFormat.Debezium
            ? new DebeziumFormat(shape, new NpgsqlConnectionStringBuilder(options.ConnectionString) is { Database: { Length: > 0 } database } ? database : "postgres", options.SubjectPrefix, time)
            : new JsonFormat(shape, pretty: false);
        EventFormat lines = options.Format switch
        {
            OutputFormat.JsonPretty => new JsonFormat(shape, pretty: true),
            OutputFormat.Text => new TextFormat(shape),
            _ => json,
        };

        // NATS first: what is on standard output is on its way there.
        foreach (var servers in options.NatsServers)
        {
            outputs.Add(new JetStreamOutput(new(servers, options, time, loggers), options, json, time, loggers.CreateLogger<JetStreamOutput>()));
        }

        if (options.File is { } file)
        {
            outputs.Add(LineOutput.ToFile(file, lines));
        }

        if (options.StandardOutput)
        {
            outputs.Add(LineOutput.ToStandardOutput(lines));
        }
    }

    private async Task RunAsync(CaptureSource source, CaptureFilter filter, EventPipeline pipeline, List<ChangeOutput> outputs, CancellationToken stopping)
    {
        var wal = new ConfirmedWal();
        var (opened, failures) = (false, 0);
        while (!stopping.IsCancellationRequested)
        {
            var began = time.GetTimestamp();
            try
            {
                var start = await source.PrepareAsync(stopping);
                await using var connection = source.CreateReplication();
                await connection.Open(stopping);
                var identity = await CaptureSession.IdentifyAsync(connection, stopping);
                if (!opened)
                {
                    await Task.WhenAll(outputs.Select(output => output.OpenAsync(identity, stopping)));
                    opened = true;
                }

                await using var session = new CaptureSession(options, source, connection, pipeline, new(filter, pipeline, wal, options.SpoolDirectory), wal, time);
                Capturing(options.Slot);
                await session.RunAsync(start, Task.WhenAny(outputs.Select(output => output.Completion)).Unwrap(), stopping);
            }
            catch (PostgresException exception) when (source.IsFinal(exception))
            {
                throw source.Final(exception);
            }
            catch (Exception) when (stopping.IsCancellationRequested)
            {
                break;
            }
            // The driver dereferences null when its session ends between two of its own steps; a defect of ours ends the capture.
            catch (Exception exception) when (exception is NpgsqlException or IOException or InvalidOperationException or OperationCanceledException or TimeoutException or System.Net.Sockets.SocketException or NullReferenceException { Source: "Npgsql" })
            {
                // One that fails as soon as it begins, each time, is begun less and less often.
                failures = time.GetElapsedTime(began) > options.RetryMaximum ? 1 : failures + 1;
                if (exception is SpoolException)
                {
                    NoRoom(exception.Message);
                }
                else
                {
                    Interrupted(exception.Message);
                }

                await Task.Delay(options.PauseAfter(failures), time, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        Ended(options.Slot, pipeline.LastOrdinal);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "capturing from slot {Slot}")]
    private partial void Capturing(string slot);

    [LoggerMessage(Level = LogLevel.Warning, Message = "PostgreSQL is not ready: {Reason}; trying again")]
    private partial void Interrupted(string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Reason}; nothing is lost, trying again")]
    private partial void NoRoom(string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "capture from slot {Slot} ended after {Events} events")]
    private partial void Ended(string slot, long events);
}
