using System.Buffers.Text;
using System.Globalization;
using System.Text;
using RuleEngineNats.Problems;

namespace RuleEngineNats.IngestionApi.Status;

/// <summary>Where a page ended: lists are ordered by time of acceptance, then by id.</summary>
internal readonly record struct Cursor(DateTimeOffset ReceivedAt, Guid MessageId)
{
    private const int Longest = 128;

    /// <summary>The text of a query parameter.</summary>
    public static Cursor? Read(string? text, FieldProblems problems)
    {
        if (text is null)
        {
            return null;
        }

        if (TryParse(text, out var cursor))
        {
            return cursor;
        }

        problems.Add("invalid_value", "cursor", "is not a cursor", "Give next_cursor of the page before, or none.");
        return null;
    }

    // "2026-11-30T08:00:00.1234560+00:00 0190…": PostgreSQL keeps microseconds, so nothing is lost.
    public override string ToString() => Base64Url.EncodeToString(Encoding.ASCII.GetBytes($"{ReceivedAt:O} {MessageId}"));

    private static bool TryParse(string text, out Cursor cursor)
    {
        cursor = default;
        if (text.Length > Longest || !Base64Url.IsValid(text))
        {
            return false;
        }

        var parts = Encoding.ASCII.GetString(Base64Url.DecodeFromChars(text)).Split(' ');
        if (parts.Length != 2 || !DateTimeOffset.TryParseExact(parts[0], "O", CultureInfo.InvariantCulture, DateTimeStyles.None, out var at) || !Guid.TryParseExact(parts[1], "D", out var id))
        {
            return false;
        }

        cursor = new(at, id);
        return true;
    }
}
