using NATS.Client.JetStream.Models;
using NATS.Client.ObjectStore;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.Messaging;

/// <summary>How the bucket for large bodies looks: kept a little longer than the events that refer to it.</summary>
internal static class BucketShape
{
    // An object may be a day old when an event begins to refer to it, and is to outlive that event by a day.
    private static readonly TimeSpan Margin = TimeSpan.FromDays(2);

    // For events of a stream that has no limit: after that the history's copy counts, as long as there is one.
    private static readonly TimeSpan Unlimited = TimeSpan.FromDays(30);

    public static NatsObjConfig Of(IReadOnlyCollection<StreamDefinition> streams) => new(StreamNames.PayloadBucket)
    {
        Description = "Bodies of events that are too large for a message",
        MaxAge = streams.Select(stream => stream.MaxAge > TimeSpan.Zero ? stream.MaxAge + Margin : Unlimited).DefaultIfEmpty(Unlimited).Max(),
        NumberOfReplicas = streams.Select(stream => stream.Replicas).DefaultIfEmpty(1).Max(),
    };

    /// <summary>Where an existing bucket falls short; null when it does not. One that keeps objects longer is fine.</summary>
    public static string? Difference(NatsObjConfig wanted, StreamConfig actual)
        => actual.MaxAge > TimeSpan.Zero && actual.MaxAge < wanted.MaxAge
            ? $"max_age is {actual.MaxAge}, less than the {wanted.MaxAge} that the streams ask for: the bodies of older events are gone before them"
            : null;
}
