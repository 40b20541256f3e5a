using System.CommandLine;
using RuleEngineNats.IngestionTool.Input;

namespace RuleEngineNats.IngestionTool.Loading;

/// <summary>The options of <c>load</c> and what they mean.</summary>
internal sealed class LoadFlags
{
    private const int MaxBatch = 10_000;

    private readonly Argument<string> _file = new("FILE") { Description = "The file: NDJSON or CSV. - is standard input." };
    private readonly Option<string?> _format = new("--format", "-f") { Description = "ndjson, csv (the first row has the names of the fields) or rejected (a file of rejected lines, mended). Default: by the name's end: .ndjson, .jsonl, .csv, .tsv, .rejected.ndjson; ndjson for standard input." };
    private readonly Option<string?> _delimiter = new("--delimiter") { Description = "CSV: what is between fields. Default: a comma; a tab for .tsv." };
    private readonly Option<string[]> _columns = new("--column") { Description = $"CSV: name:type of a field, with {CsvColumn.Types}; may be given several times. An empty field is null, a string's is empty. Others are strings." };
    private readonly Option<bool> _infer = new("--infer") { Description = "CSV: a field that is a number, true, false or null as JSON writes it becomes one." };
    private readonly Option<string?> _entity = new("--entity", "-e") { Description = "The entity that every line is. Default: what each line says." };
    private readonly Option<string?> _source = new("--source") { Description = "Where the lines come from, for the record." };
    private readonly Option<string?> _run = new("--run") { Description = "A name that is part of every key: the same file under another name is stored again, as new documents." };
    private readonly Option<int> _batch = new("--batch", "-b") { Description = $"Lines in a request, 1 to {MaxBatch}; fewer where they are more than 1 MiB.", DefaultValueFactory = _ => 500 };
    private readonly Option<int> _parallel = new("--parallel", "-p") { Description = "Requests at once, 1 to 64.", DefaultValueFactory = _ => 4 };
    private readonly Option<bool> _gzip = new("--gzip") { Description = "Compress what is sent." };
    private readonly Option<string?> _state = new("--state") { Description = "Where to write down how far the load is. Default: FILE.ingest-state; for standard input none, and then nothing can be gone on with." };
    private readonly Option<bool> _restart = new("--restart") { Description = "Forget how far a load was and send everything again, under the same keys: what is stored already is not stored twice." };
    private readonly Option<bool> _moved = new("--moved") { Description = "Go on though the API's address or key is another one than that of the state: it is the same system." };
    private readonly Option<string?> _rejected = new("--rejected") { Description = "Where rejected lines go, with the reason. Default: FILE.rejected.ndjson; one of an earlier load becomes .old." };
    private readonly Option<string?> _ids = new("--ids") { Description = "A file to append the line number and the message id of every accepted line to, with a tab between." };
    private readonly Option<bool> _wait = new("--wait") { Description = "Wait until every accepted line is completed or a dead letter, and count both." };
    private readonly Option<string> _patience = new("--patience") { Description = $"How long to go on trying while the API answers nothing: {Durations.Form}.", DefaultValueFactory = _ => "10m" };
    private readonly Option<string> _timeout = new("--timeout") { Description = $"How long one request may take: {Durations.Form}.", DefaultValueFactory = _ => "60s" };
    private readonly Option<bool> _json = new("--json") { Description = "The table at the end as JSON." };

    public void AddTo(Command command)
    {
        command.Arguments.Add(_file);
        foreach (Option option in (Option[])[_format, _delimiter, _columns, _infer, _entity, _source, _run, _batch, _parallel, _gzip, _state, _restart, _moved, _rejected, _ids, _wait, _patience, _timeout, _json])
        {
            command.Options.Add(option);
        }
    }

    public LoadOptions Read(ParseResult result, List<string> problems)
    {
        var file = result.GetValue(_file)!;
        var input = InputFile.IsStandardInput(file);
        var format = Format(result.GetValue(_format), file, problems);
        var options = new LoadOptions(file, format)
        {
            Csv = Csv(result, file, format, problems),
            Entity = NotEmpty(_entity, result, problems),
            Source = NotEmpty(_source, result, problems),
            Run = NotEmpty(_run, result, problems),
            Batch = Range(_batch, result, MaxBatch, problems),
            Parallel = Range(_parallel, result, 64, problems),
            Gzip = result.GetValue(_gzip),
            State = NotEmpty(_state, result, problems) ?? (input ? null : $"{file}.ingest-state"),
            Restart = result.GetValue(_restart),
            Moved = result.GetValue(_moved),
            Rejected = NotEmpty(_rejected, result, problems) ?? (input ? "stdin.rejected.ndjson" : $"{file}.rejected.ndjson"),
            Ids = NotEmpty(_ids, result, problems),
            Wait = result.GetValue(_wait),
            Patience = Duration(_patience, result, problems),
            Timeout = Duration(_timeout, result, problems),
            Json = result.GetValue(_json),
        };
        if (options.Source is { } source && (source.Length > 255 || source.AsSpan().ContainsAnyExceptInRange('!', '~')))
        {
            problems.Add($"{_source.Name}: at most 255 characters of visible ASCII, no blanks");
        }

        return options;
    }

    private static string? NotEmpty(Option<string?> option, ParseResult result, List<string> problems)
    {
        var value = result.GetValue(option);
        if (value?.Length == 0)
        {
            problems.Add($"{option.Name}: it is empty; leave it out or give a value");
        }

        return value;
    }

    private static int Range(Option<int> option, ParseResult result, int maximum, List<string> problems)
    {
        var value = result.GetValue(option);
        if (value < 1 || value > maximum)
        {
            problems.Add($"{option.Name}: {value} is not 1 to {maximum}");
        }

        return value;
    }

    private static TimeSpan Duration(Option<string> option, ParseResult result, List<string> problems)
    {
        var text = result.GetValue(option)!;
        if (Durations.Parse(text) is { } duration)
        {
            return duration;
        }

        problems.Add($"{option.Name}: '{text}' is no duration; write {Durations.Form}");
        return TimeSpan.Zero;
    }

    private static InputFormat Format(string? name, string file, List<string> problems)
    {
        InputFormat? format = name switch
        {
            "ndjson" => InputFormat.Ndjson,
            "csv" => InputFormat.Csv,
            "rejected" => InputFormat.Rejected,
            null when InputFile.IsStandardInput(file) => InputFormat.Ndjson,
            null when Ends(".rejected.ndjson") => InputFormat.Rejected,
            null when Ends(".ndjson") || Ends(".jsonl") => InputFormat.Ndjson,
            null when Ends(".csv") || Ends(".tsv") => InputFormat.Csv,
            _ => null,
        };
        if (format is null)
        {
            problems.Add(name is null ? $"--format: the name '{file}' does not say it; give ndjson, csv or rejected" : $"--format: '{name}' is none of ndjson, csv, rejected");
        }

        return format ?? InputFormat.Ndjson;

        bool Ends(string end) => file.EndsWith(end, StringComparison.OrdinalIgnoreCase);
    }

    private CsvFormat Csv(ParseResult result, string file, InputFormat format, List<string> problems)
    {
        var delimiter = result.GetValue(_delimiter) ?? (file.EndsWith(".tsv", StringComparison.OrdinalIgnoreCase) ? "\t" : ",");
        delimiter = delimiter == "\\t" ? "\t" : delimiter;
        var columns = new Dictionary<string, CsvType>();
        foreach (var column in result.GetValue(_columns) ?? [])
        {
            var colon = column.LastIndexOf(':');
            if (colon < 1 || CsvColumn.TypeOf(column[(colon + 1)..]) is not { } type)
            {
                problems.Add($"--column: '{column}' is not name:type with {CsvColumn.Types}");
            }
            else if (!columns.TryAdd(column[..colon], type))
            {
                problems.Add($"--column: '{column[..colon]}' has two types");
            }
        }

        if (format != InputFormat.Csv && (columns.Count > 0 || result.GetValue(_infer) || result.GetValue(_delimiter) is not null))
        {
            problems.Add("--column, --infer, --delimiter: they belong to --format csv");
        }

        if (delimiter.Length is < 1 or > 8 || delimiter.AsSpan().ContainsAny("\"\r\n"))
        {
            problems.Add("--delimiter: 1 to 8 characters, no quote and no line break");
        }

        return new(delimiter, result.GetValue(_infer), columns);
    }
}
