using System.CommandLine;
using RuleEngineNats.PgoutputStream;

var result = CaptureCommand.Create().Parse(args);
if (result.Errors.Count > 0)
{
    return CaptureCommand.Refuse(result.Errors.Select(error => error.Message));
}

// On Ctrl-C and SIGTERM the capture stores what is under way; only when it hangs is it ended from outside.
return await result.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = TimeSpan.FromSeconds(30) });
