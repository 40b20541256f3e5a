using System.Buffers;
using System.Security.Cryptography;
using Microsoft.Extensions.Options;
using RuleEngineNats.Contracts;
using RuleEngineNats.IngestionApi.Problems;
using RuleEngineNats.IngestionApi.Streams;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.IngestionApi.Messages;

/// <summary>A document that can be published: its envelope is written, and the document itself no longer needed.</summary>
/// <param name="Event">The message.</param>
/// <param name="Buffer">What holds it.</param>
internal readonly record struct PreparedDocument(EventMessage Event, EnvelopeBuffer Buffer)
{
    public ReadOnlyMemory<byte> Sha256 => Event.BodySha256;
}

/// <summary>Puts documents into the stream: single ones, lines of a batch and those that are sent again.</summary>
internal sealed class PublishDocument(
    EventPublisher publisher, EntityHints entities, StreamHeadroom headroom, IOptions<IngestStreamOptions> streams, IOptions<MessagingOptions> messaging, TimeProvider time)
{
    private readonly string _config = streams.Value.Config;
    private readonly TimeSpan _oneAttempt = messaging.Value.AckTimeout < messaging.Value.PublishBudget ? messaging.Value.AckTimeout : messaging.Value.PublishBudget;

    /// <summary>Writes the envelope. Null where it is larger than a message may be.</summary>
    public PreparedDocument? Prepare(IngestEnvelope envelope, string messageId)
    {
        var buffer = new EnvelopeBuffer(envelope.Body.Length);
        envelope.WriteTo(buffer);
        if (buffer.Length > headroom.MaxEnvelopeBytes)
        {
            buffer.Return();
            return null;
        }

        // The hash is the document's: a repeat has another envelope, with another time.
        var message = new EventMessage(entities.SubjectOf(envelope.EntityType), buffer.Written, messageId, StreamNames.Messages)
        {
            Config = _config,
            BodySha256 = SHA256.HashData(envelope.Body.Span),
            IsCloudEvent = false,
        };
        return new(message, buffer);
    }

    /// <summary>Publishes it, whatever becomes of the request: a client that is gone would else leave it unknown whether it is stored.</summary>
    public async ValueTask<PublishOutcome> SendAsync(PreparedDocument prepared)
    {
        var began = time.GetTimestamp();
        var outcome = await publisher.PublishAsync(prepared.Event, CancellationToken.None);
        if (time.GetElapsedTime(began) < _oneAttempt)
        {
            // Within the time of one attempt nothing was given up that may yet be read from it.
            prepared.Buffer.Return();
        }

        return outcome;
    }

    /// <summary>Of a document that <see cref="Prepare"/> finds too large.</summary>
    public Refusal TooLarge() => Refusals.TooLarge(headroom.MaxEnvelopeBytes, "as a string within its envelope");

    /// <summary>Null where it is stored.</summary>
    public Refusal? RefusalOf(PublishOutcome outcome) => Refusals.Of(outcome, headroom.RetryAfterSeconds);
}

/// <summary>Where an envelope is written; rented, and given back by who knows that nobody reads it any more.</summary>
internal sealed class EnvelopeBuffer(int documentLength) : IBufferWriter<byte>
{
    // Around the document, and for a few quotes in it.
    private const int Overhead = 512;

    private byte[] _bytes = ArrayPool<byte>.Shared.Rent(documentLength + (documentLength / 8) + Overhead);

    public int Length { get; private set; }

    public ReadOnlyMemory<byte> Written => _bytes.AsMemory(0, Length);

    public void Advance(int count) => Length += count;

    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        Reserve(sizeHint);
        return _bytes.AsMemory(Length);
    }

    public Span<byte> GetSpan(int sizeHint = 0)
    {
        Reserve(sizeHint);
        return _bytes.AsSpan(Length);
    }

    public void Return()
    {
        ArrayPool<byte>.Shared.Return(_bytes);
        _bytes = [];
    }

    private void Reserve(int size)
    {
        if (_bytes.Length - Length >= Math.Max(size, 1))
        {
            return;
        }

        var larger = ArrayPool<byte>.Shared.Rent(Math.Max(_bytes.Length * 2, Length + size));
        Written.Span.CopyTo(larger);
        ArrayPool<byte>.Shared.Return(_bytes);
        _bytes = larger;
    }
}
