using RuleEngineNats.Contracts;
using RuleEngineNats.IngestionWorker.Pumping;

namespace RuleEngineNats.IngestionWorker.DeadLetters;

/// <summary>A message that cannot be stored as it is, and why.</summary>
/// <param name="Arrival">The message.</param>
/// <param name="Body">Its bytes, unchanged.</param>
/// <param name="Id">The id that <c>message_status</c> has it under.</param>
/// <param name="Code">One of <see cref="DeadLetterCodes"/>.</param>
/// <param name="Reason">For people; never a part of the document.</param>
internal sealed record DeadLetter(Arrival Arrival, ReadOnlyMemory<byte> Body, Guid Id, string Code, string Reason)
{
    /// <summary>What the envelope says; null where that could not be read.</summary>
    public IngestEnvelope? Envelope { get; init; }

    /// <summary>Of the document; null where there is none.</summary>
    public byte[]? Sha256 { get; init; }

    /// <summary>The entity it was read as, or sent as.</summary>
    public string? Entity { get; init; }
}

/// <summary>Why something is a dead letter, as a word for programs; there is no further one.</summary>
internal static class DeadLetterCodes
{
    /// <summary>The message is no envelope; it got an id of its own.</summary>
    public const string InvalidEnvelope = "invalid_envelope";

    /// <summary>The document is no JSON, or JSON that others read differently.</summary>
    public const string InvalidJson = "invalid_json";

    /// <summary>No root entity fits it, or there is none of the name it was sent as.</summary>
    public const string NoEntity = "no_entity";

    /// <summary>Its entity does not allow it; the reason lists all violations.</summary>
    public const string InvalidDocument = "invalid_document";

    /// <summary>PostgreSQL refuses a value: it does not fit its column.</summary>
    public const string InvalidValue = "invalid_value";

    /// <summary>PostgreSQL refuses its rows: a constraint is violated, or a parent row is missing after all attempts.</summary>
    public const string Constraint = "constraint";

    /// <summary>Another document came under the same id before; this one got an id of its own.</summary>
    public const string KeyReused = "idempotency_key_reused";

    /// <summary>Its body was too large for a message and is no longer in the Object Store.</summary>
    public const string BodyMissing = "payload_missing";

    /// <summary>It was delivered too often without an answer.</summary>
    public const string Attempts = "attempts";

    /// <summary>Storing it failed in a way that nobody foresaw, in all attempts.</summary>
    public const string InternalError = "internal_error";
}
