using RuleEngineNats.ChangeCapture.Events;

namespace RuleEngineNats.ChangeCapture.Formats;

/// <summary>How events look.</summary>
internal abstract class EventFormat
{
    /// <summary>The event's bytes, without a line end.</summary>
    /// <returns>Null where the format has nothing for this event.</returns>
    public abstract byte[]? Format(in ChangeEvent change);

    /// <summary>How one event is told from the next on standard output and in files.</summary>
    public virtual Framing Framing => Framing.Lines;

    /// <summary>What a NATS message says its body is; null for JSON.</summary>
    public virtual string? ContentType => null;

    /// <summary>What an event says, without what says where it is from and when.</summary>
    /// <param name="body">The event's bytes.</param>
    public virtual ReadOnlyMemory<byte> Content(ReadOnlyMemory<byte> body) => body;
}

/// <summary>What a row event shows besides its row.</summary>
/// <param name="WithTransaction">LSN, transaction id, commit time and place in the transaction.</param>
/// <param name="Values">Every value as PostgreSQL's text, or as the JSON it stands for.</param>
/// <param name="HashSalt">Goes before a value that is hashed.</param>
internal sealed record RowShape(bool WithTransaction, ValueStyle Values, byte[] HashSalt);
