using System.Text.Json.Serialization;

namespace RuleEngineNats.IngestionTool.Loading;

/// <summary>
/// How far a load is: every portion up to <see cref="Portions"/> has all its verdicts, and what came of them is in the totals and in the files beside, which count up to
/// the length that stands here. What is behind that is sent again.
/// </summary>
internal sealed record LoadState
{
    public int Version { get; init; } = 1;

    /// <summary>Tells the input from others; see <see cref="Input.InputFile.ContentAsync"/>.</summary>
    public required string Content { get; init; }

    /// <summary>See <see cref="LoadOptions.Reading"/>.</summary>
    public required string Reading { get; init; }

    public required int Batch { get; init; }

    public required string Url { get; init; }

    /// <summary>See <see cref="ApiAccess.Client"/>.</summary>
    public string? Client { get; init; }

    public long Portions { get; set; }

    /// <summary>Lines of the input that are done.</summary>
    public long Lines { get; set; }

    /// <summary>Where they end in the input.</summary>
    public long Offset { get; set; }

    /// <summary>The input has no more.</summary>
    public bool Complete { get; set; }

    public LoadTotals Totals { get; set; } = new();

    public SideFileState Batches { get; set; } = new("", 0);

    public SideFileState Rejected { get; set; } = new("", 0);

    public SideFileState? Ids { get; set; }

    /// <summary>What forbids going on from here with these options; null where nothing does.</summary>
    public string? Difference(LoadState wanted, bool moved)
    {
        const string Anew = "--restart begins again, --state PATH keeps both";
        return this switch
        {
            { Version: not 1 } => $"it is of another version of this command; {Anew}",
            _ when Content != wanted.Content => $"it is of another file, or the file has changed since; {Anew}",
            _ when Reading != wanted.Reading => $"that load was with {Reading}, this one is with {wanted.Reading}; give the same options to go on. {Anew}",
            _ when Batch != wanted.Batch => $"that load was with --batch {Batch}, which the portions follow from; give the same to go on. {Anew}",
            _ when !moved && Url != wanted.Url => $"that load was into {Url}, this one is into {wanted.Url}; --moved goes on where it is the same system. {Anew}",
            _ when !moved && Client != wanted.Client => $"that load was with another API key, to which the keys of its portions belong; --moved goes on all the same, and may store again what was under way. {Anew}",
            _ => null,
        };
    }
}

/// <summary>A file that grows with the load.</summary>
/// <param name="Bytes">What the state counts of it.</param>
internal sealed record SideFileState(string Path, long Bytes);

/// <summary>What came of the lines.</summary>
internal sealed class LoadTotals
{
    private const int FirstLines = 5;

    public long Accepted { get; set; }

    public long Replayed { get; set; }

    public long Rejected { get; set; }

    public SortedDictionary<string, RejectedCode> RejectedByCode { get; set; } = [];

    public long Blank { get; set; }

    public long Retries { get; set; }

    /// <summary>Of all runs.</summary>
    public TimeSpan Duration { get; set; }

    public void Add(Portion portion, PortionVerdicts verdicts)
    {
        Accepted += verdicts.Accepted.Count;
        Replayed += verdicts.Replayed;
        Rejected += verdicts.Rejected.Count;
        Blank += portion.Blank;
        foreach (var line in verdicts.Rejected)
        {
            if (!RejectedByCode.TryGetValue(line.Problem.Code, out var code))
            {
                RejectedByCode[line.Problem.Code] = code = new();
            }

            code.Count++;
            if (code.Lines.Count < FirstLines)
            {
                code.Lines.Add(line.Line);
            }
        }
    }
}

/// <summary>How many lines were rejected with a code, and the first of them.</summary>
internal sealed class RejectedCode
{
    public long Count { get; set; }

    public List<long> Lines { get; set; } = [];
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, WriteIndented = true)]
[JsonSerializable(typeof(LoadState))]
internal sealed partial class LoadStateJson : JsonSerializerContext;
