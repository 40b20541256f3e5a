using System.Globalization;
using System.IO.Pipelines;
using System.Text.Encodings.Web;
using System.Text.Json;
using RuleEngineNats.IngestionApi.Reading;

namespace RuleEngineNats.IngestionApi.Batches;

/// <summary>Writes the answer to a batch, in pieces: as one JSON object when all is known, or as lines of JSON while it is read.</summary>
internal sealed class BatchAnswer(HttpContext context, BatchRun run, TimeProvider time)
{
    // As many as older clients are shown.
    private const int MostErrors = 100;
    private const int FlushBytes = 32 * 1024;

    private static readonly JsonWriterOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    private readonly long _began = time.GetTimestamp();
    private int _written;
    private bool _started;

    private PipeWriter Output => context.Response.BodyWriter;

    /// <summary>Writes the verdicts that are known, once one of them decides that the answer is 202.</summary>
    public async Task WriteKnownAsync()
    {
        if (run.Accepted > 0 || _started)
        {
            await WriteLinesAsync(StatusCodes.Status202Accepted);
        }
    }

    /// <summary>Ends the lines of JSON with a summary.</summary>
    public async Task EndLinesAsync(int status)
    {
        await WriteLinesAsync(status);
        using (var writer = new Utf8JsonWriter(Output, Plain))
        {
            writer.WriteStartObject();
            WriteSummary(writer);
            writer.WriteEndObject();
        }

        WriteNewline();
        await Output.FlushAsync(CancellationToken.None);
    }

    /// <summary>Answers with one JSON object.</summary>
    public async Task WriteObjectAsync(int status)
    {
        Start(status, RequestMedia.Json);
        await using var writer = new Utf8JsonWriter(Output, Plain);
        writer.WriteStartObject();
        WriteSummary(writer);
        writer.WriteStartArray("errors"u8);
        var errors = 0;
        for (var index = 0; index < run.Verdicts.Count && errors < MostErrors; index++)
        {
            if (run.Verdicts[index] is { Refusal: { } refusal } verdict)
            {
                errors++;
                writer.WriteStringValue(string.Create(CultureInfo.InvariantCulture, $"Line {verdict.Line}: {refusal.OlderLineText}"));
            }
        }

        writer.WriteEndArray();
        writer.WriteStartArray("results"u8);
        for (; _written < run.Verdicts.Count; _written++)
        {
            Write(writer, run.Verdicts[_written]);
            if (writer.BytesPending + Output.UnflushedBytes > FlushBytes)
            {
                writer.Flush();
                await Output.FlushAsync(CancellationToken.None);
            }
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
        writer.Flush();
        await Output.FlushAsync(CancellationToken.None);
    }

    private async Task WriteLinesAsync(int status)
    {
        Start(status, RequestMedia.JsonLines);
        var writer = new Utf8JsonWriter(Output, Plain);
        await using (writer)
        {
            for (; _written < run.Verdicts.Count && run.Verdicts[_written].IsKnown; _written++)
            {
                Write(writer, run.Verdicts[_written]);
                writer.Flush();
                WriteNewline();
                writer.Reset();
                if (Output.UnflushedBytes > FlushBytes)
                {
                    await Output.FlushAsync(CancellationToken.None);
                }
            }
        }

        await Output.FlushAsync(CancellationToken.None);
    }

    private void Start(int status, string contentType)
    {
        if (!_started)
        {
            context.Response.StatusCode = status;
            context.Response.ContentType = contentType;
            context.Response.Headers.Location = $"/ingest/batch/{run.BatchId}";
            _started = true;
        }
    }

    private void WriteSummary(Utf8JsonWriter writer)
    {
        writer.WriteString("batch_id"u8, run.BatchId);
        writer.WriteString("status"u8, run.Rejected + run.Unavailable == 0 ? "success" : run.Accepted == 0 ? "failed" : "partial");
        writer.WriteNumber("processed"u8, run.Verdicts.Count);
        writer.WriteNumber("inserted"u8, run.Accepted);
        writer.WriteNumber("failed"u8, run.Rejected + run.Unavailable);
        writer.WriteNumber("rejected"u8, run.Rejected);
        writer.WriteNumber("unavailable"u8, run.Unavailable);
        writer.WriteNumber("blank"u8, run.Blank);
        writer.WriteBoolean("complete"u8, run.IsComplete);
        writer.WriteNumber("duration_ms"u8, (long)time.GetElapsedTime(_began).TotalMilliseconds);
    }

    private static void Write(Utf8JsonWriter writer, LineVerdict verdict)
    {
        writer.WriteStartObject();
        writer.WriteNumber("line"u8, verdict.Line);
        writer.WriteString("status"u8, verdict.Status);
        if (verdict.MessageId != default)
        {
            writer.WriteString("message_id"u8, verdict.MessageId);
        }

        if (verdict.IsReplay)
        {
            writer.WriteBoolean("replayed"u8, true);
        }

        if (verdict.Refusal is { } refusal)
        {
            writer.WriteString("code"u8, refusal.Code);
            writer.WriteString("field"u8, refusal.Field);
            writer.WriteString("detail"u8, refusal.Message);
        }

        writer.WriteEndObject();
    }

    private void WriteNewline()
    {
        Output.GetSpan(1)[0] = (byte)'\n';
        Output.Advance(1);
    }
}
