using NATS.Client.JetStream.Models;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.Messaging;

/// <summary>How a definition looks on the server, and where an existing stream differs from it.</summary>
internal static class StreamShape
{
    /// <summary>Bytes of a message with its headers: twice the default body limit.</summary>
    public const int MaxMessageBytes = 512 * 1024;

    public static StreamConfig Of(StreamDefinition definition) => new(definition.Name, [.. definition.Subjects])
    {
        Description = definition.Description,
        Storage = definition.Storage == "memory" ? StreamConfigStorage.Memory : StreamConfigStorage.File,
        Retention = Retention(definition),
        Discard = Discard(definition),
        MaxMsgs = definition.MaxMessages,
        MaxBytes = definition.MaxBytes,
        MaxAge = definition.MaxAge,
        MaxMsgSize = MaxMessageBytes,
        MaxMsgsPerSubject = -1,
        MaxConsumers = -1,
        NumReplicas = definition.Replicas,
        DuplicateWindow = DuplicateWindow(definition),
        // A single event can be neither deleted nor rolled up; purging stays possible, for the trimmer's user alone.
        DenyDelete = true,
    };

    public static IReadOnlyList<string> Differences(StreamDefinition definition, StreamConfig actual)
    {
        var wanted = Of(definition);
        var differences = new List<string>();
        foreach (var subject in definition.Subjects)
        {
            if (!(actual.Subjects ?? []).Any(filter => SubjectFilter.Covers(filter, subject)))
            {
                differences.Add($"does not take {subject}");
            }
        }

        Compare("storage", wanted.Storage, actual.Storage);
        Compare("retention", wanted.Retention, actual.Retention);
        Compare("discard", wanted.Discard, actual.Discard);
        Compare("max_messages", Limit(wanted.MaxMsgs), Limit(actual.MaxMsgs));
        Compare("max_bytes", Limit(wanted.MaxBytes), Limit(actual.MaxBytes));
        Compare("max_age", wanted.MaxAge, actual.MaxAge);
        Compare("replicas", Math.Max(wanted.NumReplicas, 1), Math.Max(actual.NumReplicas, 1));
        Compare("duplicate_window", wanted.DuplicateWindow, actual.DuplicateWindow);
        return differences;

        void Compare<T>(string name, T defined, T found)
        {
            if (!EqualityComparer<T>.Default.Equals(defined, found))
            {
                differences.Add($"{name} is {found}, defined as {defined}");
            }
        }
    }

    private static StreamConfigRetention Retention(StreamDefinition definition) => definition.Retention switch
    {
        "interest" => StreamConfigRetention.Interest,
        "workqueue" => StreamConfigRetention.Workqueue,
        _ => StreamConfigRetention.Limits,
    };

    private static StreamConfigDiscard Discard(StreamDefinition definition)
        => definition.Discard == "old" ? StreamConfigDiscard.Old : StreamConfigDiscard.New;

    // The server refuses a window longer than the age.
    private static TimeSpan DuplicateWindow(StreamDefinition definition)
        => definition.MaxAge > TimeSpan.Zero && definition.MaxAge < definition.DuplicateWindow ? definition.MaxAge : definition.DuplicateWindow;

    // 0 and -1 both mean no limit to the server.
    private static long Limit(long value) => value <= 0 ? -1 : value;
}
