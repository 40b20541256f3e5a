using System.Globalization;
using System.Text.Json;

namespace RuleEngineNats.IngestionTool.Loading;

/// <summary>What became of the accepted lines, where the load waited for it.</summary>
internal sealed class Outcomes
{
    public long Completed { get; set; }

    public long DeadLetters { get; set; }

    /// <summary>The first of them.</summary>
    public List<string> DeadLetterIds { get; } = [];
}

/// <summary>The table at the end.</summary>
internal sealed record LoadReport(string File, LoadState State, string RejectedPath, string? StatePath, Outcomes? Outcomes)
{
    private LoadTotals Totals => State.Totals;

    private double LinesPerSecond => State.Lines / Math.Max(0.001, Totals.Duration.TotalSeconds);

    // Dropped from the stream before a worker came to it.
    private long Expired => Totals.Accepted - (Outcomes?.Completed ?? 0) - (Outcomes?.DeadLetters ?? 0);

    /// <summary>The exit code of a load that came to its end.</summary>
    public int ExitCode => Totals.Rejected > 0 || Outcomes?.Completed < Totals.Accepted ? IngestionTool.ExitCode.NotAll : IngestionTool.ExitCode.Done;

    public void Print(TextWriter output)
    {
        Row("accepted", Totals.Accepted);
        Row("  of which replayed", Totals.Replayed);
        if (Outcomes is not null)
        {
            Row("  completed", Outcomes.Completed);
            Row("  dead letters", Outcomes.DeadLetters, string.Join(", ", Outcomes.DeadLetterIds));
            Row("  expired", Expired);
        }

        Row("rejected", Totals.Rejected);
        foreach (var (name, code) in Totals.RejectedByCode)
        {
            Row($"  {name}", code.Count, $"lines {string.Join(", ", code.Lines)}{(code.Count > code.Lines.Count ? " …" : "")}");
        }

        Row("blank", Totals.Blank);
        Row("retries", Totals.Retries);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{"duration",-28}{Totals.Duration.TotalSeconds,15:#,0.0} s"));
        Row("lines/s", (long)LinesPerSecond);
        if (Totals.Rejected > 0)
        {
            output.WriteLine($"rejected lines are in {RejectedPath}; mended, they load as any file does");
        }

        void Row(string what, long count, string further = "")
            => output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what,-28}{count,15:#,0}{(further.Length > 0 ? $"   {further}" : "")}"));
    }

    public void WriteJson(Stream output)
    {
        using var json = new Utf8JsonWriter(output, new JsonWriterOptions { Indented = true });
        json.WriteStartObject();
        json.WriteString("file", File);
        json.WriteBoolean("complete", State.Complete);
        json.WriteNumber("lines", State.Lines);
        json.WriteNumber("accepted", Totals.Accepted);
        json.WriteNumber("replayed", Totals.Replayed);
        json.WriteNumber("rejected", Totals.Rejected);
        json.WriteStartObject("rejected_by_code");
        foreach (var (name, code) in Totals.RejectedByCode)
        {
            json.WriteStartObject(name);
            json.WriteNumber("count", code.Count);
            json.WriteStartArray("lines");
            code.Lines.ForEach(json.WriteNumberValue);
            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndObject();
        json.WriteNumber("blank", Totals.Blank);
        json.WriteNumber("retries", Totals.Retries);
        json.WriteNumber("duration_ms", (long)Totals.Duration.TotalMilliseconds);
        json.WriteNumber("lines_per_second", (long)LinesPerSecond);
        WriteOutcomes(json);
        json.WriteString("rejected_file", Totals.Rejected > 0 ? RejectedPath : null);
        json.WriteString("state_file", StatePath);
        json.WriteEndObject();
        json.Flush();
        output.Write("\n"u8);
    }

    private void WriteOutcomes(Utf8JsonWriter json)
    {
        if (Outcomes is null)
        {
            return;
        }

        json.WriteNumber("completed", Outcomes.Completed);
        json.WriteNumber("dlq", Outcomes.DeadLetters);
        json.WriteNumber("expired", Expired);
        json.WriteStartArray("dlq_ids");
        Outcomes.DeadLetterIds.ForEach(json.WriteStringValue);
        json.WriteEndArray();
    }
}
