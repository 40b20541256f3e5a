using System.Text;

namespace RuleEngineNats.DeliveryWorker.Delivery;

/// <summary>Text that a PostgreSQL column takes, out of whatever a receiver sent.</summary>
internal static class ResponseText
{
    /// <summary>UTF-8 where it is, a replacement character where it is not, no NUL, and at most this many bytes again: a replacement is longer than what it replaces.</summary>
    public static string Decode(ReadOnlySpan<byte> bytes, int maxBytes)
    {
        var text = Encoding.UTF8.GetString(bytes).Replace('\0', ' ');
        if (Encoding.UTF8.GetByteCount(text) <= maxBytes)
        {
            return text;
        }

        var length = 0;
        var kept = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            if ((length += rune.Utf8SequenceLength) > maxBytes)
            {
                break;
            }

            kept += rune.Utf16SequenceLength;
        }

        return text[..kept];
    }
}
