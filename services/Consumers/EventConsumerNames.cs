using RuleEngineNats.Contracts;

namespace RuleEngineNats.Consumers;

/// <summary>What a user's consumer may be called and select; all problems are reported at once.</summary>
internal static class EventConsumerNames
{
    private const int MaxLength = 64;

    public static void Check(string filter, string consumer)
    {
        List<string> problems = [];
        if (SubjectRules.Check(filter, allowWildcards: true) is { } problem)
        {
            problems.Add($"filter {problem}");
        }

        if (consumer is ConsumerNames.DeliveryWorker or ConsumerNames.IngestionWorker)
        {
            problems.Add($"consumer: '{consumer}' belongs to this project's own workers, which would lose every event that yours takes");
        }
        else if (consumer.Length is 0 or > MaxLength || !consumer.All(character => char.IsAsciiLetterOrDigit(character) || character is '-' or '_'))
        {
            problems.Add($"consumer: '{consumer}' is not 1 to {MaxLength} of A-Z, a-z, 0-9, '-' and '_'");
        }

        if (problems.Count > 0)
        {
            throw new ArgumentException(string.Join("; ", problems));
        }
    }
}
