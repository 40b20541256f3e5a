using RuleEngineNats.Entities;

namespace RuleEngineNats.IngestionApi;

/// <summary><c>--check</c>: validates the configured entity definitions and ends.</summary>
internal static class CheckEntities
{
    public const string Argument = "--check";

    public static int Run(IConfiguration configuration, TextWriter output)
    {
        var options = configuration.GetSection(IngestionEntitiesOptions.Section).Get<IngestionEntitiesOptions>() ?? new();
        if (!string.IsNullOrEmpty(options.Folder))
        {
            return EntityCheck.Run(options.Folder, output);
        }

        output.WriteLine($"there is no folder to check; name one, e.g. --{IngestionEntitiesOptions.Section}:Folder=/etc/entities");
        return 1;
    }
}
