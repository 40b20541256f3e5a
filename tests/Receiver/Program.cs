using System.Net.Sockets;
using Microsoft.Extensions.Hosting;
using RuleEngineNats.Receiver;
using RuleEngineNats.TestKit;

var problems = new List<string>();
var options = ReceiverOptions.Parse(args, problems);
if (options.WantsHelp)
{
    Console.WriteLine(Help.Text);
    return 0;
}

if (problems.Count > 0)
{
    problems.ForEach(Console.Error.WriteLine);
    return 2;
}

await using var app = new ReceiverApp(options, TimeProvider.System, Console.Out).Build();
SilentServer? silent = null;
try
{
    silent = options.SilentPort is { } port ? SilentServer.Start(options.Address, port) : null;
    await app.StartAsync();
}
catch (Exception e) when (e is IOException or SocketException)
{
    // Kestrel wraps what the socket says.
    Console.Error.WriteLine(e is SocketException ? $"--silent-port: {e.Message}; give another, or 0 for any that is free" : $"--port: {e.Message} Give another, or 0 for any that is free");
    return 1;
}

using (silent)
{
    Console.WriteLine($"receiver on {app.Urls.Single()}; GET /_log shows the requests, POST /_script changes the scripts, Ctrl-C ends it");
    if (silent is not null)
    {
        Console.WriteLine($"silent on port {silent.Port}");
    }

    await app.WaitForShutdownAsync();
}

return 0;
