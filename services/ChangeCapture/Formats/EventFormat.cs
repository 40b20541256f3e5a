using RuleEngineNats.ChangeCapture.Events;

namespace RuleEngineNats.ChangeCapture.Formats;

/// <summary>How events look.</summary>
internal abstract class EventFormat
{
    /// <summary>The event's bytes, without a line end.</summary>
    /// <returns>Null where the format has nothing for this event.</returns>
    public abstract byte[]? Format(in ChangeEvent change);
}

/// <summary>What a row event shows besides its row.</summary>
/// <param name="WithTransaction">LSN, transaction id, commit time and place in the transaction.</param>
/// <param name="Values">Every value as PostgreSQL's text, or as the JSON it stands for.</param>
/// <param name="HashSalt">Goes before a value that is hashed.</param>
internal sealed record RowShape(bool WithTransaction, ValueStyle Values, byte[] HashSalt);
