using System.IO.Pipelines;
using RuleEngineNats.Contracts;
using RuleEngineNats.IngestionApi.Health;
using RuleEngineNats.IngestionApi.Limits;
using RuleEngineNats.IngestionApi.Messages;
using RuleEngineNats.IngestionApi.Problems;
using RuleEngineNats.IngestionApi.Reading;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.IngestionApi.Batches;

/// <summary>
/// One batch on its way through: lines are taken as they come, published with a window of them in flight, and settled in their order. Whatever has not come yet holds no place of others:
/// <code>
/// body ─► split ─► check ─► publish ─► window ─► settle ─► verdicts, in order
///   ▲                         │ takes a place           │
///   └── nothing has come: all that is in flight is settled, and the place is left
/// </code>
/// </summary>
internal sealed class BatchRun(
    Guid batchId, ClientTerms terms, PublishDocument publish, EntityHints entities, PublishPlaces places, IngestionOptions options, TimeProvider time, IReadOnlyDictionary<Guid, byte[]?>? known)
{
    private const int MaxBytesInFlight = 4 * 1024 * 1024;

    private readonly List<LineVerdict> _verdicts = [];
    private readonly Queue<(int Index, int Bytes, Task<PublishOutcome> Outcome)> _inFlight = new();
    private readonly DateTimeOffset _now = time.GetUtcNow();
    private long _bytesInFlight;
    private bool _hasPlace;
    private bool _isOver;
    private Refusal? _stopped;

    public Guid BatchId => batchId;

    /// <summary>When its first line was read.</summary>
    public DateTimeOffset ReceivedAt => _now;

    public IReadOnlyList<LineVerdict> Verdicts => _verdicts;

    public int Accepted { get; private set; }

    public int Rejected { get; private set; }

    public int Unavailable { get; private set; }

    public int Blank { get; private set; }

    /// <summary>The highest line number that has a verdict.</summary>
    public int Lines => _verdicts.Count == 0 ? 0 : _verdicts[^1].Line;

    /// <summary>Whether the body was read to its end.</summary>
    public bool IsComplete { get; private set; }

    /// <summary>Why it was not read to its end; null where it was, or where the client is gone.</summary>
    public Refusal? Cut { get; private set; }

    /// <summary>Reads the body to its end.</summary>
    /// <param name="reader">The body, decompressed.</param>
    /// <param name="split">How it is cut into lines.</param>
    /// <param name="settled">Called when verdicts were added and nothing more is there to be read at once.</param>
    public async Task RunAsync(PipeReader reader, ISplitBatch split, Func<Task>? settled)
    {
        try
        {
            await ReadAsync(reader, split, settled);
        }
        catch (Exception e) when (BodyFailures.Is(e))
        {
            Cut = BodyFailures.Of(e, options);
        }
        finally
        {
            await SettleAllAsync();
        }

        if (Cut is not null && Accepted > 0)
        {
            // What came is accepted and stays so; the rest has a verdict of its own.
            Add(new(Lines + 1, default, true, Cut));
        }
    }

    private async Task ReadAsync(PipeReader reader, ISplitBatch split, Func<Task>? settled)
    {
        var room = (long)options.MaxBatchBytes;
        while (!_isOver)
        {
            var reading = reader.ReadAsync(CancellationToken.None);
            if (!reading.IsCompleted)
            {
                await SettleAllAsync();
                await (settled?.Invoke() ?? Task.CompletedTask);
            }

            var read = await reading;
            var isTooLarge = read.Buffer.Length > room;
            var rest = isTooLarge ? read.Buffer.Slice(0, room) : read.Buffer;
            var before = rest.Length;
            while (!_isOver && split.TryTake(ref rest, read.IsCompleted && !isTooLarge, out var item))
            {
                await TakeAsync(item);
            }

            room -= before - rest.Length;
            reader.AdvanceTo(rest.Start, read.Buffer.End);
            if (isTooLarge)
            {
                Cut = Refusals.TooLarge(options.MaxBatchBytes, "Ingestion:MaxBatchBytes");
                return;
            }

            if (read.IsCompleted)
            {
                IsComplete = !_isOver;
                return;
            }
        }
    }

    private async ValueTask TakeAsync(BatchItem item)
    {
        switch (item.Kind)
        {
            case BatchItemKind.Blank:
                Blank++;
                break;
            case BatchItemKind.NoArray:
                (Cut, _isOver) = (Refusals.NoArray, true);
                break;
            case BatchItemKind.AfterArray:
                End(item.Line, Refusals.AfterArray);
                break;
            case var _ when item.Line > options.MaxLines:
                End(item.Line, Refusals.TooManyLines(options.MaxLines));
                break;
            case BatchItemKind.TooLong:
                Refuse(item.Line, Refusals.TooLarge(options.MaxLineBytes, "Ingestion:MaxLineBytes"));
                break;
            case BatchItemKind.Unclosed:
                Refuse(item.Line, Refusals.Truncated);
                break;
            default:
                await TakeDocumentAsync(item);
                break;
        }
    }

    private async ValueTask TakeDocumentAsync(BatchItem item)
    {
        var id = IngestMessageId.ForLine(batchId, item.Line);
        if (Prepare(item, id, out var prepared) is { } refusal)
        {
            Refuse(item.Line, refusal);
            return;
        }

        if (known is not null && known.TryGetValue(id, out var recorded))
        {
            var isSame = KnownKeys.Compare(recorded, prepared.Sha256.Span) == KeyState.Same;
            prepared.Buffer.Return();
            Add(new(item.Line, isSame ? id : default, true, isSame ? null : Refusals.KeyReused, isSame));
            return;
        }

        if (_stopped is null && !_hasPlace)
        {
            _hasPlace = await places.EnterBatchAsync(CancellationToken.None);
            _stopped = _hasPlace ? null : Refusals.Overloaded;
        }

        if (_stopped is not null)
        {
            prepared.Buffer.Return();
            Add(new(item.Line, id, true, _stopped));
            return;
        }

        await SendAsync(item.Line, id, prepared);
    }

    private async ValueTask SendAsync(int line, Guid id, PreparedDocument prepared)
    {
        var bytes = prepared.Buffer.Length;
        _inFlight.Enqueue((_verdicts.Count, bytes, publish.SendAsync(prepared).AsTask()));
        _bytesInFlight += bytes;
        _verdicts.Add(new(line, id, false, null));
        while (_inFlight.Count >= options.BatchWindow || _bytesInFlight > MaxBytesInFlight)
        {
            await SettleOldestAsync();
        }
    }

    private Refusal? Prepare(BatchItem item, Guid id, out PreparedDocument prepared)
    {
        prepared = default;
        using var piece = OnePiece.Of(item.Bytes);
        if (PayloadRules.Check(piece.Bytes.Span, options.MaxLineBytes) is { } problem)
        {
            return item.Kind == BatchItemKind.Last ? Refusals.Truncated : Refusals.Json(problem);
        }

        if (entities.Resolve(terms, piece.Bytes, out var entity) is { } refusal)
        {
            return refusal;
        }

        if (publish.Prepare(new(id, piece.Bytes, entity, _now, Source: terms.Source), id.ToString()) is not { } made)
        {
            return publish.TooLarge();
        }

        prepared = made;
        return null;
    }

    private async ValueTask SettleAllAsync()
    {
        while (_inFlight.Count > 0)
        {
            await SettleOldestAsync();
        }

        if (_hasPlace)
        {
            _hasPlace = false;
            places.LeaveBatch();
        }
    }

    private async ValueTask SettleOldestAsync()
    {
        var (index, bytes, sent) = _inFlight.Dequeue();
        _bytesInFlight -= bytes;
        var outcome = await sent;
        var refusal = publish.RefusalOf(outcome);
        // What nats-server does not take now it would not take from the lines behind it: to wait for each of them would take minutes.
        _stopped ??= refusal is { IsUnavailable: true } ? refusal : null;
        var verdict = _verdicts[index] with { IsKnown = true, Refusal = refusal, IsReplay = terms.Key is not null && outcome is PublishOutcome.Duplicate };
        _verdicts[index] = refusal is { IsUnavailable: false } ? verdict with { MessageId = default } : verdict;
        Count(refusal);
    }

    private void End(int line, Refusal refusal)
    {
        Refuse(line, refusal);
        _isOver = true;
    }

    private void Refuse(int line, Refusal refusal) => Add(new(line, default, true, refusal));

    private void Add(LineVerdict verdict)
    {
        _verdicts.Add(verdict);
        Count(verdict.Refusal);
    }

    private void Count(Refusal? refusal)
    {
        if (refusal is null)
        {
            Accepted++;
            return;
        }

        IngestionMetrics.Refused(refusal);
        if (refusal.IsUnavailable)
        {
            Unavailable++;
        }
        else
        {
            Rejected++;
        }
    }
}
