using System.Security.Cryptography;
using System.Text;
using RuleEngineNats.IngestionTool.Input;

namespace RuleEngineNats.IngestionTool.Loading;

internal enum InputFormat
{
    Ndjson,
    Csv,
    Rejected,
}

/// <summary>What a load was asked for.</summary>
internal sealed record LoadOptions(string File, InputFormat Format)
{
    public CsvFormat Csv { get; init; } = new(",", Infer: false, new Dictionary<string, CsvType>());

    public string? Entity { get; init; }

    /// <summary>Part of every key: the same file under another name is stored again.</summary>
    public string? Run { get; init; }

    /// <summary>Where the lines come from, for the record.</summary>
    public string? Source { get; init; }

    public int Batch { get; init; } = 500;

    public int Parallel { get; init; } = 4;

    public bool Gzip { get; init; }

    /// <summary>Null keeps no state: nothing can be gone on with then.</summary>
    public string? State { get; init; }

    public bool Restart { get; init; }

    /// <summary>The API of the state has another address or key now.</summary>
    public bool Moved { get; init; }

    public required string Rejected { get; init; }

    public string? Ids { get; init; }

    public bool Wait { get; init; }

    public bool Json { get; init; }

    public TimeSpan Patience { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>How long one request may take.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>What decides which documents the lines become, and what they are stored as, for people and for the keys.</summary>
    public string Reading()
    {
        var columns = Csv.Columns.OrderBy(column => column.Key, StringComparer.Ordinal).Select(column => $" --column {column.Key}:{column.Value}");
        return string.Concat(
            $"--format {Format}",
            Format == InputFormat.Csv ? $" --delimiter '{Csv.Delimiter}'{(Csv.Infer ? " --infer" : "")}{string.Concat(columns)}" : "",
            Entity is null ? "" : $" --entity {Entity}",
            Run is null ? "" : $" --run {Run}");
    }

    /// <summary>The idempotency key of a portion: the same for the same lines of the same file, whenever they are sent.</summary>
    /// <param name="content">What tells the input from others; see <see cref="InputFile.ContentAsync"/>.</param>
    public string KeyOf(string content, long firstLine)
        => $"load-{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{content}\n{Reading()}\n{Batch}\n{firstLine}")))}";
}
