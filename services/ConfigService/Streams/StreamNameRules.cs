using RuleEngineNats.Problems;

namespace RuleEngineNats.ConfigService.Streams;

/// <summary>What the name of a stream may be: what the tables take, which is stricter than nats-server and safe in subjects and file names.</summary>
internal static class StreamNameRules
{
    public const int MaxLength = 255;

    public static void Check(string field, string? name, FieldProblems problems)
    {
        if (name is null)
        {
            return;
        }

        if (name.Length is 0 or > MaxLength || name.Any(character => !char.IsAsciiLetterOrDigit(character) && character is not ('_' or '-')))
        {
            problems.Add("invalid_stream_name", field, "stream_name must have 1 to 255 characters of [A-Za-z0-9_-]", "Choose another name.", MaxLength);
        }
    }
}
