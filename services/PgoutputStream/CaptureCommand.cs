using System.CommandLine;
using Microsoft.Extensions.Logging;
using RuleEngineNats.ChangeCapture;

namespace RuleEngineNats.PgoutputStream;

/// <summary>
/// The command: events on standard output, the log on standard error. Exit codes: 0 ended by Ctrl-C or SIGTERM, 1 cannot go on, 2 the command
/// line is wrong.
/// </summary>
internal static class CaptureCommand
{
    private const int Stopped = 0;
    private const int Failed = 1;
    private const int Usage = 2;

    public static RootCommand Create()
    {
        var flags = new CaptureFlags();
        var command = new RootCommand("Streams row changes of a PostgreSQL database from a logical replication slot to standard output, files and NATS JetStream.");
        foreach (var option in flags.All)
        {
            command.Options.Add(option);
        }

        command.SetAction((result, cancellationToken) => RunAsync(flags, result, cancellationToken));
        return command;
    }

    public static int Refuse(IEnumerable<string> problems)
    {
        foreach (var problem in problems)
        {
            Console.Error.WriteLine($"pgoutput-stream: {problem}");
        }

        Console.Error.WriteLine("pgoutput-stream --help shows the options");
        return Usage;
    }

    private static async Task<int> RunAsync(CaptureFlags flags, ParseResult result, CancellationToken cancellationToken)
    {
        var (options, problems) = flags.Read(result);
        problems = [.. problems, .. problems.Count > 0 ? [] : CaptureOptionsRules.Problems(options).Select(CaptureFlags.InFlags)];
        if (problems.Count > 0)
        {
            return Refuse(problems);
        }

        using var loggers = LoggerFactory.Create(builder => builder
            .SetMinimumLevel(result.GetValue(flags.Verbose) ? LogLevel.Debug : LogLevel.Information)
            .AddFilter("NATS", LogLevel.Warning)
            .AddFilter("Npgsql", LogLevel.Warning)
            .AddFilter(typeof(SnapshotProgress).FullName, Console.IsErrorRedirected ? LogLevel.Information : LogLevel.None)
            .AddSimpleConsole(console => (console.SingleLine, console.TimestampFormat, console.UseUtcTimestamp) = (true, "yyyy-MM-ddTHH:mm:ss.fffZ ", true))
            .AddConsole(console => console.LogToStandardErrorThreshold = LogLevel.Trace));
        try
        {
            var bar = Console.IsErrorRedirected ? null : new SnapshotBar(Console.Error, TimeProvider.System);
            await new Capture(options, loggers, TimeProvider.System) { SnapshotProgress = bar }.RunAsync(cancellationToken);
            return Stopped;
        }
        catch (CaptureException exception)
        {
            foreach (var line in exception.Message.Split(Environment.NewLine))
            {
                await Console.Error.WriteLineAsync($"pgoutput-stream: {CaptureFlags.InFlags(line)}");
            }

            return Failed;
        }
    }
}
