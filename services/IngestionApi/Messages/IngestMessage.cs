using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using Microsoft.Extensions.Options;
using RuleEngineNats.Contracts;
using RuleEngineNats.IngestionApi.Health;
using RuleEngineNats.IngestionApi.Limits;
using RuleEngineNats.IngestionApi.Problems;
using RuleEngineNats.IngestionApi.Reading;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.IngestionApi.Messages;

/// <summary>POST /ingest/message: one document, answered with 202 when the stream has it.</summary>
internal sealed class IngestMessage(
    PublishDocument publish, EntityHints entities, KnownKeys keys, PublishPlaces places, Admission admission, IOptions<IngestionOptions> options, TimeProvider time)
{
    public const string ReplayedHeader = "Idempotency-Replayed";

    private const string Limit = "Ingestion:MaxMessageBytes";

    private readonly int _maxBytes = options.Value.MaxMessageBytes;

    public Task HandleAsync(HttpContext context) => admission.RunAsync(context, TryHandleAsync);

    private async ValueTask<Refusal?> TryHandleAsync(HttpContext context, string client)
    {
        var request = context.Request;
        var terms = ClientTerms.Read(request, client, entities, out var refusal);
        refusal ??= RequestMedia.CheckDocument(request);
        if (refusal is not null)
        {
            return refusal;
        }

        await using var bytes = RequestBytes.Open(request, terms.IsGzip, _maxBytes);
        if (request.ContentLength > _maxBytes)
        {
            return TooLarge();
        }

        try
        {
            var (body, tooLarge) = await ReadAsync(bytes.Reader);
            return tooLarge ? TooLarge() : await AcceptAsync(context, terms, bytes.Reader, body);
        }
        catch (Exception e) when (BodyFailures.Is(e) && !context.Response.HasStarted)
        {
            return BodyFailures.Of(e, options.Value);
        }
    }

    private Refusal TooLarge() => Refusals.TooLarge(_maxBytes, Limit);

    private async ValueTask<(ReadOnlySequence<byte> Body, bool TooLarge)> ReadAsync(PipeReader reader)
    {
        while (true)
        {
            var read = await reader.ReadAsync(CancellationToken.None);
            if (read.Buffer.Length > _maxBytes)
            {
                reader.AdvanceTo(read.Buffer.End);
                return (default, true);
            }

            if (read.IsCompleted)
            {
                return (read.Buffer, false);
            }

            reader.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }

    private async ValueTask<Refusal?> AcceptAsync(HttpContext context, ClientTerms terms, PipeReader reader, ReadOnlySequence<byte> body)
    {
        var began = time.GetTimestamp();
        var now = time.GetUtcNow();
        var id = terms.Key is null ? IngestMessageId.New(now) : IngestMessageId.ForKey(terms.Client, terms.Key);
        var messageId = id.ToString();
        var refusal = Prepare(terms, body, id, messageId, now, out var prepared);
        reader.AdvanceTo(body.End);
        if (refusal is not null)
        {
            return refusal;
        }

        if (terms.Key is not null && await keys.FindAsync(id, prepared.Sha256) is not KeyState.Unknown and var state)
        {
            prepared.Buffer.Return();
            if (state == KeyState.Other)
            {
                return Refusals.KeyReused;
            }

            await AnswerAsync(context, messageId, now, replayed: true);
            return null;
        }

        if (!places.TryEnter())
        {
            prepared.Buffer.Return();
            return Refusals.Overloaded;
        }

        PublishOutcome outcome;
        try
        {
            outcome = await publish.SendAsync(prepared);
        }
        finally
        {
            places.Leave();
        }

        if (publish.RefusalOf(outcome) is { } failed)
        {
            // Where it is not known whether it is stored, the client can ask.
            context.Response.Headers.Location = failed.Code == "outcome_unknown" ? StatusOf(messageId) : default;
            return failed;
        }

        IngestionMetrics.Accepted(time.GetElapsedTime(began));
        await AnswerAsync(context, messageId, now, replayed: terms.Key is not null && outcome is PublishOutcome.Duplicate);
        return null;
    }

    private Refusal? Prepare(ClientTerms terms, ReadOnlySequence<byte> body, Guid id, string messageId, DateTimeOffset now, out PreparedDocument prepared)
    {
        prepared = default;
        using var piece = OnePiece.Of(body);
        if (PayloadRules.Check(piece.Bytes.Span, _maxBytes) is { } problem)
        {
            return Refusals.Json(problem);
        }

        if (entities.Resolve(terms, piece.Bytes, out var entity) is { } refusal)
        {
            return refusal;
        }

        if (publish.Prepare(new(id, piece.Bytes, entity, now, Source: terms.Source), messageId) is not { } made)
        {
            return publish.TooLarge();
        }

        prepared = made;
        return null;
    }

    private static string StatusOf(string messageId) => "/ingest/status/" + messageId;

    private static async ValueTask AnswerAsync(HttpContext context, string messageId, DateTimeOffset now, bool replayed)
    {
        var response = context.Response;
        response.StatusCode = StatusCodes.Status202Accepted;
        response.ContentType = RequestMedia.Json;
        response.Headers.Location = StatusOf(messageId);
        if (replayed)
        {
            response.Headers[ReplayedHeader] = "true";
        }

        response.ContentLength = Write(response.BodyWriter, messageId, now);
        await response.BodyWriter.FlushAsync(CancellationToken.None);
    }

    private static int Write(PipeWriter output, string messageId, DateTimeOffset now)
    {
        var span = output.GetSpan(256);
        System.Text.Unicode.Utf8.TryWrite(
            span, CultureInfo.InvariantCulture, $"{{\"message_id\":\"{messageId}\",\"status\":\"accepted\",\"timestamp\":\"{now.UtcDateTime:yyyy-MM-ddTHH:mm:ss.fffZ}\"}}", out var written);
        output.Advance(written);
        return written;
    }
}
