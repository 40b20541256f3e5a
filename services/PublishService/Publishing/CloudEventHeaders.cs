using RuleEngineNats.Contracts;

namespace RuleEngineNats.PublishService.Publishing;

/// <summary>Takes out of a client's headers the two CloudEvents attributes that have a default, so that theirs takes its place.</summary>
internal static class CloudEventHeaders
{
    public static (string? Type, string? Source, IReadOnlyList<KeyValuePair<string, string>> Others) Split(IReadOnlyList<KeyValuePair<string, string>> headers)
    {
        string? type = null;
        string? source = null;
        foreach (var (name, value) in headers)
        {
            if (name.Equals(EventHeaders.CloudEventType, StringComparison.OrdinalIgnoreCase))
            {
                type = value;
            }
            else if (name.Equals(EventHeaders.CloudEventSource, StringComparison.OrdinalIgnoreCase))
            {
                source = value;
            }
        }

        return type is null && source is null ? (null, null, headers) : (type, source, [.. headers.Where(header => !IsEither(header.Key))]);
    }

    private static bool IsEither(string name)
        => name.Equals(EventHeaders.CloudEventType, StringComparison.OrdinalIgnoreCase) || name.Equals(EventHeaders.CloudEventSource, StringComparison.OrdinalIgnoreCase);
}
