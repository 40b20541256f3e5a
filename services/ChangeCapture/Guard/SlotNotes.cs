using System.Text.Json;
using RuleEngineNats.ChangeCapture.Pgoutput;

namespace RuleEngineNats.ChangeCapture.Guard;

/// <summary>
/// What a capture writes into the WAL for itself, as logical messages: what was decided outside of the stream is met in it at one place, by this process or
/// the next. Each names its slot; those of other slots are nobody's events either.
/// </summary>
internal static class SlotNotes
{
    /// <summary>Comes back through the slot, which shows how far behind it is.</summary>
    public const string Heartbeat = "rule-cdc-heartbeat";

    /// <summary>WAL before it was not read, or the slot was made here.</summary>
    public const string Gap = "rule-cdc-gap";

    public static bool IsNote(WalMessage.Logical message) => message.Prefix is Heartbeat or Gap;

    /// <summary>A property of a note of this slot's; null where it is another's.</summary>
    public static string? Read(WalMessage.Logical message, string slot, string property)
    {
        try
        {
            using var note = JsonDocument.Parse(message.Content);
            return note.RootElement.GetProperty("slot").GetString() == slot ? note.RootElement.GetProperty(property).GetString() : null;
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            // Anyone may write a message with this prefix.
            return null;
        }
    }
}
