using System.Buffers;
using System.Security.Cryptography;
using Microsoft.Extensions.Options;
using Npgsql;
using RuleEngineNats.Contracts;
using RuleEngineNats.IngestionApi.Messages;
using RuleEngineNats.IngestionApi.Problems;
using RuleEngineNats.IngestionApi.Reading;
using RuleEngineNats.IngestionApi.Status;

namespace RuleEngineNats.IngestionApi.DeadLetters;

/// <summary>POST /ingest/dead-letters/{messageId}/resubmit: sends a dead letter again, as it was or corrected. It gets another id, and the old one says which.</summary>
internal sealed class ResubmitDeadLetter(NpgsqlDataSource rules, ReadLetter read, PublishDocument publish, EntityHints entities, IOptions<IngestionOptions> options, TimeProvider time)
{
    private const string Scope = "resubmit";
    private const string EntityParameter = "entity";

    public async Task<IResult> HandleAsync(string messageId, string? entity, HttpRequest request, CancellationToken cancellationToken)
    {
        string? named = null;
        var refusal = FindStatus.ParseId(messageId, ReadLetter.Field, out var id);
        refusal ??= entity is null ? null : entities.Find(entity, EntityParameter, out named);
        refusal ??= RequestMedia.CheckDocument(request);
        if (refusal is not null)
        {
            return refusal.ToProblem().ToResult();
        }

        var (corrected, unreadable) = await ReadBodyAsync(request, cancellationToken);
        if (unreadable is not null)
        {
            return unreadable.ToProblem().ToResult();
        }

        var (sent, failed) = await RunAsync(id, corrected, named, cancellationToken);
        return sent is null
            ? failed!.ToProblem().ToResult()
            : Results.Json(new Resubmitted(sent.Value, id, IngestStatus.Accepted), IngestJson.Default.Resubmitted, statusCode: StatusCodes.Status202Accepted);
    }

    /// <summary>Sends it again, once: whoever does it meanwhile waits for the row, and finds it sent.</summary>
    /// <param name="id">The dead letter.</param>
    /// <param name="corrected">The document to send; empty for the one that it is.</param>
    /// <param name="entity">What it is; null for what it was sent as.</param>
    /// <param name="cancellationToken">Gives up, but not between publishing and writing that down.</param>
    public async Task<(Guid? SentAs, Refusal? Refusal)> RunAsync(Guid id, ReadOnlyMemory<byte> corrected, string? entity, CancellationToken cancellationToken)
    {
        await using var connection = await rules.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        if (await ReadLetter.LockAsync(connection, id, cancellationToken) is not { } letter)
        {
            return (null, ReadLetter.NotFound);
        }

        // What is sent is wanted even where it is given, for entity and source.
        var (original, refusal) = await read.DocumentAsync(letter, cancellationToken);
        if (original is null && (corrected.IsEmpty || refusal!.IsUnavailable))
        {
            return letter.ResubmittedAs is { } before ? (null, Already(before)) : (null, refusal);
        }

        var document = corrected.IsEmpty ? original!.Bytes : corrected;
        var next = IngestMessageId.ForKey(Scope, $"{id:D} {Convert.ToHexStringLower(SHA256.HashData(document.Span))}");
        if (letter.ResubmittedAs is { } already)
        {
            return already == next ? (next, null) : (null, Already(already));
        }

        if (await PublishAsync(next, document, entity ?? KnownOf(original is null ? letter.EntityType : original.Entity), original?.Source ?? letter.Source) is { } failed)
        {
            return (null, failed);
        }

        await MarkAsync(connection, id, next);
        await transaction.CommitAsync(CancellationToken.None);
        return (next, null);
    }

    private static Refusal Already(Guid id) => new(
        409, "already_resubmitted", ReadLetter.Field, $"it was sent again before, as {id:D}", "Look up the status of that id; what became of it can be sent again under that.");

    private async Task<Refusal?> PublishAsync(Guid id, ReadOnlyMemory<byte> document, string? entity, string? source)
    {
        if (PayloadRules.Check(document.Span, options.Value.MaxMessageBytes) is { } problem)
        {
            return Refusals.Json(problem);
        }

        if (entities.Resolve(new("", null, entity, EntityParameter, source, false), document, out var resolved) is { } refusal)
        {
            return refusal;
        }

        return publish.Prepare(new(id, document, resolved, time.GetUtcNow(), Source: source), id.ToString()) is { } prepared
            ? publish.RefusalOf(await publish.SendAsync(prepared))
            : publish.TooLarge();
    }

    // Entities come and go: under a name that is none any more the worker would refuse it again.
    private string? KnownOf(string? entity) => entity is not null && entities.Find(entity, EntityParameter, out var known) is null ? known : null;

    private static async Task MarkAsync(NpgsqlConnection connection, Guid id, Guid next)
    {
        await using var command = new NpgsqlCommand("UPDATE message_status SET resubmitted_as = $2 WHERE message_id = $1 AND resubmitted_as IS NULL", connection);
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = id });
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = next });
        await command.ExecuteNonQueryAsync(CancellationToken.None);
    }

    private async Task<(ReadOnlyMemory<byte> Body, Refusal? Refusal)> ReadBodyAsync(HttpRequest request, CancellationToken cancellationToken)
    {
        if (RequestMedia.CheckEncoding(request, out var isGzip) is { } refusal)
        {
            return (default, refusal);
        }

        var most = options.Value.MaxMessageBytes;
        await using var bytes = RequestBytes.Open(request, isGzip, most);
        try
        {
            var read = await bytes.Reader.ReadAtLeastAsync(most + 1, cancellationToken);
            var body = read.Buffer.Length > most ? null : read.Buffer.ToArray();
            bytes.Reader.AdvanceTo(read.Buffer.End);
            return body is null ? (default, Refusals.TooLarge(most, "Ingestion:MaxMessageBytes")) : (body, null);
        }
        catch (Exception e) when (e is BadHttpRequestException or InvalidDataException)
        {
            return (default, BodyFailures.Of(e, options.Value));
        }
    }
}
