using RuleEngineNats.ChangeCapture.Events;
using RuleEngineNats.ChangeCapture.Pgoutput;

namespace RuleEngineNats.ChangeCapture.Formats;

/// <summary>How the changes look within a transaction's event: as on their own, without an envelope, and begin and commit are empty.</summary>
internal sealed class ChangesFormat(EventFormat format) : EventFormat
{
    public override Framing Framing => format.Framing;

    public override string? ContentType => format.ContentType;

    public override byte[]? Format(in ChangeEvent change)
    {
        if (change.Message is WalMessage.Begin or WalMessage.Commit)
        {
            return [];
        }

        var body = format.Format(change);
        return body is null || change is { Transaction: null } or { Message: WalMessage.Row { Operation: RowOperation.Read } } || format.Content(body) is var content && content.Length == body.Length ? body : content.ToArray();
    }
}
