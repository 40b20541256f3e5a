using System.CommandLine;
using RuleEngineNats.IngestionTool.Input;

namespace RuleEngineNats.IngestionTool.Loading;

/// <summary><c>rule-ingest load FILE</c>: the progress on standard error, the table of verdicts on standard output.</summary>
internal static class LoadCommand
{
    public static Command Create()
    {
        var flags = new LoadFlags();
        var access = new ApiFlags();
        var command = new Command("load", """
            Sends a file in portions and counts the API's verdict of each line.

            Each portion has an idempotency key that follows from the file, so that a repetition stores nothing twice. How far the load is stands in
            FILE.ingest-state; the same command goes on there after an interruption, whatever ended it. Rejected lines are written to
            FILE.rejected.ndjson and can be mended and loaded.

            Exit codes: 0 all lines are accepted (with --wait: completed), 1 some are rejected or dead letters, 2 the command line or the
            input is wrong or the API refuses, 3 the API cannot be reached, 130 interrupted.
            """);
        flags.AddTo(command);
        access.AddTo(command);
        command.SetAction(async (result, cancellationToken) =>
        {
            var problems = new List<string>();
            var (options, api) = (flags.Read(result, problems), access.Read(result, problems));
            return problems.Count > 0 ? IngestCommand.Refuse(problems) : await RunAsync(options, api!, cancellationToken);
        });
        return command;
    }

    private static async Task<int> RunAsync(LoadOptions options, ApiAccess access, CancellationToken cancellationToken)
    {
        await using var input = new InputFile(options.File);
        input.Open();
        using var api = new ApiClient(access, TimeProvider.System);
        // Without a state a repetition is another load, and what standard input has cannot be told from what it had.
        var content = options.State is null ? $"{Guid.NewGuid():N}" : await input.ContentAsync(cancellationToken);
        var wanted = new LoadState { Content = content, Reading = options.Reading(), Batch = options.Batch, Url = api.Url.AbsoluteUri, Client = access.Client };
        using var journal = LoadJournal.Open(options, wanted, TimeProvider.System);
        SayWhere(options, journal.State);
        try
        {
            if (!journal.State.Complete && !await LoadAsync(input, api, journal, options, content, cancellationToken))
            {
                return Interrupted(options, journal);
            }

            var outcomes = options.Wait ? await new BatchWait(api, options, TimeProvider.System).RunAsync(journal, cancellationToken) : null;
            return Report(options, journal, outcomes);
        }
        catch (Exception e) when (e is ApiRefusedException or ApiUnreachableException or InputException or IOException or UnauthorizedAccessException)
        {
            if (journal.State.Portions > 0)
            {
                Report(options, journal, null);
                await Console.Error.WriteLineAsync($"rule-ingest: {HowToGoOn(options, journal)}");
            }

            throw;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return Interrupted(options, journal);
        }
    }

    private static async Task<bool> LoadAsync(
        InputFile input, ApiClient api, LoadJournal journal, LoadOptions options, string content, CancellationToken cancellationToken)
    {
        var state = journal.State;
        var lines = Lines(input.Stream, options, state);
        if (lines.CanSeek && input.Stream.CanSeek)
        {
            input.Stream.Position = state.Offset;
        }

        // Claims the state for this process, and shows that it can be written, before anything is sent.
        journal.Save();
        await using var progress = new LoadProgress(Console.Error, !Console.IsErrorRedirected, input.Length, state, TimeProvider.System);
        progress.Start();
        var sender = new PortionSender(api, options, content, new Patience(options.Patience, TimeProvider.System), progress.Retried, TimeProvider.System);
        return await new LoadRun(lines, sender, journal, progress, options, TimeProvider.System).RunAsync(cancellationToken);
    }

    // What cannot be sought is read from its beginning, and passed over up to the place.
    private static ILines Lines(Stream stream, LoadOptions options, LoadState state)
    {
        if (options.Format == InputFormat.Csv)
        {
            return new CsvLines(stream, options.Csv, state.Lines);
        }

        var lines = stream.CanSeek ? new NdjsonLines(stream, state.Offset, state.Lines) : new NdjsonLines(stream);
        ILines read = options.Format == InputFormat.Rejected ? new RejectedLines(lines) : lines;
        return stream.CanSeek || state.Lines == 0 ? read : new LinesAfter(read, state.Lines);
    }

    private static void SayWhere(LoadOptions options, LoadState state)
    {
        if (state.Complete)
        {
            Console.Error.WriteLine($"rule-ingest: {options.State}: all {state.Lines} lines have their verdicts. --restart sends them again under the same keys, --run NAME --state PATH as new documents");
        }
        else if (state.Portions > 0)
        {
            Console.Error.WriteLine($"rule-ingest: {options.State}: goes on behind line {state.Lines}; {state.Totals.Accepted} lines are accepted and {state.Totals.Rejected} rejected");
        }
    }

    private static int Interrupted(LoadOptions options, LoadJournal journal)
    {
        Report(options, journal, null);
        Console.Error.WriteLine($"rule-ingest: interrupted; {HowToGoOn(options, journal)}");
        return ExitCode.Interrupted;
    }

    private static string HowToGoOn(LoadOptions options, LoadJournal journal) => journal.State.Complete
        ? "all lines have their verdicts; the same command waits for them again"
        : options.State is null
            ? $"lines up to {journal.State.Lines} have their verdicts. There is no state to go on with: --state PATH keeps one of standard input, too"
            : $"lines up to {journal.State.Lines} have their verdicts; the same command goes on behind them";

    private static int Report(LoadOptions options, LoadJournal journal, Outcomes? outcomes)
    {
        var report = new LoadReport(options.File, journal.State, options.Rejected, options.State, outcomes);
        if (options.Json)
        {
            using var output = Console.OpenStandardOutput();
            report.WriteJson(output);
        }
        else
        {
            report.Print(Console.Out);
        }

        return report.ExitCode;
    }
}
