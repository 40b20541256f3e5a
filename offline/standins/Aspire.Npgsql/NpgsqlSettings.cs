namespace Aspire.Npgsql;

/// <summary>What <c>AddNpgsqlDataSource</c> reads from <c>Aspire:Npgsql</c>; everything is on by default.</summary>
public class NpgsqlSettings
{
    public string? ConnectionString { get; set; }

    public bool DisableHealthChecks { get; set; }

    public bool DisableTracing { get; set; }

    public bool DisableMetrics { get; set; }
}
