using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using RuleEngineNats.IngestionTool.Input;

namespace RuleEngineNats.IngestionTool.Loading;

/// <summary>
/// Writes down what came of each portion. The files beside are on the disk before the state that counts them is, and the state is replaced as a whole: whenever the
/// process ends, no portion is counted that has not all its verdicts.
/// </summary>
internal sealed class LoadJournal : IDisposable
{
    private static readonly TimeSpan Every = TimeSpan.FromMilliseconds(250);
    private static readonly JsonWriterOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    private readonly string? _path;
    private readonly TimeProvider _time;
    private readonly SideFile _batches;
    private readonly SideFile _rejected;
    private readonly SideFile? _ids;
    private readonly ArrayBufferWriter<byte> _line = new();
    private readonly TimeSpan _before;
    private readonly long _begun;
    private long _saved;

    private LoadJournal(LoadOptions options, LoadState state, TimeProvider time)
    {
        (_path, _time, State, _before) = (options.State, time, state, state.Totals.Duration);
        _begun = _saved = time.GetTimestamp();
        // Before the first portion none is counted, whatever a load that is forgotten left.
        var batches = Path.GetFullPath(BatchesOf(_path ?? Path.Combine(Path.GetTempPath(), $"rule-ingest-{Guid.NewGuid():N}")));
        _batches = new(batches, state.Portions == 0 ? new(batches, 0) : state.Batches, keepOld: true, claim: true);
        _rejected = new(options.Rejected, state.Rejected, keepOld: false);
        _ids = options.Ids is null ? null : new(options.Ids, state.Ids, keepOld: true);
    }

    public LoadState State { get; }

    /// <exception cref="InputException">There is a state, and it is not one to go on from; or a file cannot be written.</exception>
    public static LoadJournal Open(LoadOptions options, LoadState wanted, TimeProvider time)
    {
        try
        {
            var found = options.State is null || options.Restart ? null : Read(options.State);
            if (found?.Difference(wanted, options.Moved) is { } difference)
            {
                throw new InputException($"{options.State}: {difference}");
            }

            return new(options, found is null ? wanted : found with { Url = wanted.Url, Client = wanted.Client }, time);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{e.Message} Another load of the same file? --state and --rejected choose other places");
        }
    }

    public void Add(Portion portion, PortionVerdicts verdicts)
    {
        foreach (var rejected in verdicts.Rejected)
        {
            Append(_rejected, writer => RejectedLines.Write(writer, rejected.Line, rejected.Problem, rejected.Document.Span));
        }

        foreach (var (line, id) in _ids is null ? [] : verdicts.Accepted)
        {
            _ids!.Write(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{line}\t{id}\n")));
        }

        if (verdicts is { BatchId: not null, Accepted.Count: > 0 })
        {
            _batches.Write(Encoding.ASCII.GetBytes($"{verdicts.BatchId}\n"));
        }

        State.Totals.Add(portion, verdicts);
        (State.Portions, State.Lines, State.Offset) = (State.Portions + 1, portion.LastLine, portion.End);
        if (_time.GetElapsedTime(_saved) > Every)
        {
            Save();
        }
    }

    public void Save()
    {
        _saved = _time.GetTimestamp();
        State.Totals.Duration = _before + _time.GetElapsedTime(_begun);
        _rejected.Flush();
        _ids?.Flush();
        _batches.Flush();
        if (_path is null)
        {
            return;
        }

        (State.Batches, State.Rejected, State.Ids) = (_batches.State, _rejected.State, _ids?.State ?? State.Ids);
        using (var file = new FileStream(_path + ".new", FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0))
        {
            file.Write(JsonSerializer.SerializeToUtf8Bytes(State, LoadStateJson.Default.LoadState));
            file.Flush(flushToDisk: true);
        }

        File.Move(_path + ".new", _path, overwrite: true);
    }

    public void Dispose()
    {
        _batches.Dispose();
        if (_path is null)
        {
            File.Delete(_batches.Path);
        }

        _rejected.Dispose();
        _ids?.Dispose();
    }

    /// <summary>The batches that have accepted lines, in the input's order.</summary>
    public IEnumerable<string> BatchIds() => _batches.Lines();

    /// <summary>Beside the state: the ids of all batches, one a line.</summary>
    public static string BatchesOf(string state) => state + ".batches";

    private static LoadState? Read(string path)
    {
        if (!File.Exists(path))
        {
            return null;
        }

        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(path), LoadStateJson.Default.LoadState) ?? throw new JsonException();
        }
        catch (JsonException)
        {
            throw new InputException($"{path}: no state of a load; --restart replaces it, --state PATH leaves it");
        }
    }

    private void Append(SideFile file, Action<Utf8JsonWriter> write)
    {
        _line.ResetWrittenCount();
        using (var writer = new Utf8JsonWriter(_line, Plain))
        {
            write(writer);
        }

        _line.Write("\n"u8);
        file.Write(_line.WrittenSpan);
    }
}
