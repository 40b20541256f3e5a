using System.Text.Json;
using RuleEngineNats.IngestionTool.Input;

namespace RuleEngineNats.IngestionTool.Loading;

/// <summary>A line that was refused, here or by the API.</summary>
internal sealed record RejectedLine(long Line, LineProblem Problem, ReadOnlyMemory<byte> Document);

/// <summary>
/// What the API said of each line of a portion. Its answer is NDJSON: a verdict a line, in order, and a summary at the end.
/// <code>
/// {"line":1,"status":"accepted","message_id":"…"}
/// {"line":2,"status":"rejected","code":"invalid_json","detail":"…"}
/// {"batch_id":"…","status":"partial",…}
/// </code>
/// </summary>
internal sealed class PortionVerdicts(Portion portion)
{
    private const string TooManyLines = "too_many_lines";
    private const string TooSlow = "too_slow";

    private readonly HashSet<int> _judged = [];
    private string? _last;

    public string? BatchId { get; private set; }

    public List<(long Line, string Id)> Accepted { get; } = [];

    /// <summary>Of the accepted ones, those that the API had already.</summary>
    public int Replayed { get; private set; }

    public List<RejectedLine> Rejected { get; } = [];

    /// <summary>Lines to be sent again.</summary>
    public int Unavailable { get; private set; }

    /// <summary>Why the API judged no further and will not, where that is so: its limits are lower than the portion is.</summary>
    public string? Ended { get; private set; }

    /// <summary>Whether the answer is whole: an answer that was cut has no summary.</summary>
    public bool IsComplete => BatchId is not null && _judged.Count == portion.Count;

    /// <exception cref="JsonException">The line is no verdict.</exception>
    public void Read(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json);
        var verdict = new Verdict();
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw new JsonException();
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            verdict.Read(ref reader);
        }

        if (verdict.BatchId is not null)
        {
            BatchId = verdict.BatchId;
            Ended ??= _judged.Count < portion.Count ? _last : null;
        }
        else
        {
            Take(verdict);
        }
    }

    /// <summary>Adds what was refused before it was sent.</summary>
    public void AddRefused()
        => Rejected.AddRange(portion.Refused.Select(refused => new RejectedLine(refused.Line, refused.Problem, refused.Document)));

    private void Take(Verdict verdict)
    {
        // A verdict that the rest has together is the last one; it may be about a line that never came.
        _last = verdict.Status == "rejected" && verdict.Code != TooSlow ? $"{verdict.Code}: {verdict.Detail}" : null;
        Ended ??= verdict.Code == TooManyLines ? _last : null;
        if (verdict.Line == portion.Count + 1)
        {
            return;
        }

        if (verdict.Line < 1 || verdict.Line > portion.Count || !_judged.Add(verdict.Line))
        {
            throw new JsonException();
        }

        var line = portion.LineOf(verdict.Line - 1);
        switch (verdict.Status)
        {
            case "accepted" when verdict.MessageId is not null:
                Accepted.Add((line, verdict.MessageId));
                Replayed += verdict.Replayed ? 1 : 0;
                break;
            case "rejected":
                Rejected.Add(new(line, new(verdict.Code ?? "rejected", verdict.Field?.Length > 0 ? verdict.Field : null, verdict.Detail), portion.DocumentOf(verdict.Line - 1)));
                break;
            case "unavailable":
                Unavailable++;
                break;
            default:
                throw new JsonException();
        }
    }

    private ref struct Verdict
    {
        public int Line;
        public bool Replayed;
        public string? BatchId;
        public string? Status;
        public string? MessageId;
        public string? Code;
        public string? Field;
        public string? Detail;

        public void Read(ref Utf8JsonReader reader)
        {
            if (Is(ref reader, "line"u8))
            {
                Line = reader.GetInt32();
            }
            else if (Is(ref reader, "replayed"u8))
            {
                Replayed = reader.TokenType == JsonTokenType.True;
            }
            else if (!(Text(ref reader, "batch_id"u8, ref BatchId) || Text(ref reader, "status"u8, ref Status) || Text(ref reader, "message_id"u8, ref MessageId)
                || Text(ref reader, "code"u8, ref Code) || Text(ref reader, "field"u8, ref Field) || Text(ref reader, "detail"u8, ref Detail)))
            {
                reader.Skip();
            }
        }

        private static bool Text(ref Utf8JsonReader reader, ReadOnlySpan<byte> name, ref string? value)
        {
            if (!Is(ref reader, name))
            {
                return false;
            }

            value = reader.TokenType == JsonTokenType.Null ? null : reader.GetString();
            return true;
        }

        private static bool Is(ref Utf8JsonReader reader, ReadOnlySpan<byte> name)
            => reader.TokenType == JsonTokenType.PropertyName && reader.ValueTextEquals(name) && reader.Read();
    }
}
