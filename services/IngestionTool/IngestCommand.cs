using System.CommandLine;
using RuleEngineNats.IngestionTool.Input;
using RuleEngineNats.IngestionTool.Loading;
using RuleEngineNats.IngestionTool.Queries;

namespace RuleEngineNats.IngestionTool;

/// <summary>The command line, and what it ends with.</summary>
internal static class IngestCommand
{
    public static RootCommand Create()
    {
        var command = new RootCommand("Loads files into the ingestion API, and looks after what became of them.");
        command.Subcommands.Add(LoadCommand.Create());
        command.Subcommands.Add(StatusCommand.Create());
        command.Subcommands.Add(DeadLettersCommand.Create());
        return command;
    }

    public static async Task<int> RunAsync(string[] arguments)
    {
        var result = Create().Parse(arguments);
        if (result.Errors.Count > 0)
        {
            return Refuse(result.Errors.Select(error => error.Message));
        }

        try
        {
            // On Ctrl-C and SIGTERM what is under way has 2 s; only when that hangs is the process ended from outside.
            return await result.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = TimeSpan.FromSeconds(30) });
        }
        catch (OperationCanceledException)
        {
            return ExitCode.Interrupted;
        }
        catch (ApiUnreachableException e)
        {
            return Say(e.Message, ExitCode.Unreachable);
        }
        catch (Exception e) when (e is ApiRefusedException or InputException or IOException or UnauthorizedAccessException)
        {
            return Say(e.Message, ExitCode.Refused);
        }
    }

    public static int Refuse(IEnumerable<string> problems)
    {
        foreach (var problem in problems)
        {
            Console.Error.WriteLine($"rule-ingest: {problem}");
        }

        Console.Error.WriteLine("rule-ingest --help shows the options");
        return ExitCode.Refused;
    }

    private static int Say(string problem, int code)
    {
        Console.Error.WriteLine($"rule-ingest: {problem}");
        return code;
    }
}
