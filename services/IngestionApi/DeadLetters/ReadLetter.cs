using System.Globalization;
using System.Text;
using NATS.Client.Core;
using NATS.Client.JetStream.Models;
using Npgsql;
using RuleEngineNats.Contracts;
using RuleEngineNats.IngestionApi.Problems;
using RuleEngineNats.IngestionApi.Streams;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.IngestionApi.DeadLetters;

/// <summary>A dead letter's document as it was sent.</summary>
/// <param name="Bytes">The document; where its message was no envelope, the message.</param>
/// <param name="Entity">The entity it was sent as.</param>
/// <param name="Source">Where it came from.</param>
/// <param name="Headers">Those of the message that has it.</param>
internal sealed record LetterDocument(ReadOnlyMemory<byte> Bytes, string? Entity, string? Source, string? Headers);

/// <summary>Reads dead letters: the row of <c>message_status</c>, and the document from <see cref="StreamNames.MessagesDeadLetter"/>.</summary>
internal sealed class ReadLetter(NpgsqlDataSource rules, LookAtStream look)
{
    public const string Field = "message_id";

    public static readonly Refusal NotFound = new(404, "dead_letter_not_found", Field, "there is no dead letter of this id", "GET /ingest/dead-letters lists them.");

    public static readonly Refusal Expired = new(
        410, "expired", Field, $"the stream {StreamNames.MessagesDeadLetter} no longer has the document (Ingestion:Streams:DeadLetterMaxAge)", "Send the document to be stored as the body.");

    public static readonly Refusal Unreadable = new(
        503, "nats_unavailable", "", "nats-server does not show the document now", "Try again after the time in Retry-After.")
    { RetryAfterSeconds = 2 };

    public Task<DeadLetter?> FindAsync(Guid id, CancellationToken cancellationToken) => FindAsync(rules.CreateCommand($"SELECT {DeadLetter.Columns} FROM message_status WHERE message_id = $1 AND status = 'dlq'"), id, cancellationToken);

    /// <summary>The same, and nobody else sends it again before the transaction ends.</summary>
    public static Task<DeadLetter?> LockAsync(NpgsqlConnection connection, Guid id, CancellationToken cancellationToken)
        => FindAsync(new NpgsqlCommand($"SELECT {DeadLetter.Columns} FROM message_status WHERE message_id = $1 AND status = 'dlq' FOR UPDATE", connection), id, cancellationToken);

    /// <summary>The document of a dead letter, or why there is none.</summary>
    public async Task<(LetterDocument? Document, Refusal? Refusal)> DocumentAsync(DeadLetter letter, CancellationToken cancellationToken)
    {
        StoredMessage? message;
        try
        {
            message = letter.DlqSequence is { } sequence ? await look.GetAsync(StreamNames.MessagesDeadLetter, (ulong)sequence, cancellationToken) : null;
        }
        catch (NatsException)
        {
            return (null, Unreadable);
        }

        // A stream that was made anew counts from 1 again.
        if (message is null || StoredHeaders.Find(message.Hdrs, EventHeaders.DeadLetterMessageId) != letter.MessageId.ToString("D", CultureInfo.InvariantCulture))
        {
            return (null, Expired);
        }

        return IngestEnvelope.TryRead(message.Data.Span, out var envelope, out _)
            ? (new(envelope!.Body, envelope.EntityType, envelope.Source, message.Hdrs), null)
            : (new(message.Data, null, null, message.Hdrs), null);
    }

    /// <summary>Shows a document in the first form that it allows.</summary>
    public static DeadLetter Show(DeadLetter letter, LetterDocument document)
    {
        letter = letter with
        {
            Reason = new(
                Header(document, EventHeaders.DeadLetterCode), Header(document, EventHeaders.DeadLetterReason) is { } reason ? Uri.UnescapeDataString(reason) : null,
                Header(document, EventHeaders.DeadLetterAttempts), Header(document, EventHeaders.DeadLetterSequence)),
        };
        if (PayloadRules.Check(document.Bytes.Span, PayloadRules.MaxBytes) is null)
        {
            return letter with { Document = new(document.Bytes) };
        }

        return System.Text.Unicode.Utf8.IsValid(document.Bytes.Span)
            ? letter with { Text = Encoding.UTF8.GetString(document.Bytes.Span) }
            : letter with { Base64 = Convert.ToBase64String(document.Bytes.Span) };
    }

    private static string? Header(LetterDocument document, string name) => StoredHeaders.Find(document.Headers, name);

    private static async Task<DeadLetter?> FindAsync(NpgsqlCommand command, Guid id, CancellationToken cancellationToken)
    {
        await using (command)
        {
            command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = id });
            await using var row = await command.ExecuteReaderAsync(cancellationToken);
            return await row.ReadAsync(cancellationToken) ? DeadLetter.Read(row) : null;
        }
    }
}
