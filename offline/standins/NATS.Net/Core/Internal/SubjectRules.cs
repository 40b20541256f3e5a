using System.Buffers;
using System.Diagnostics.CodeAnalysis;

namespace NATS.Client.Core.Internal;

/// <summary>White space in a subject would split the protocol line, so it never reaches the wire.</summary>
internal static class SubjectRules
{
    private static readonly SearchValues<char> White = SearchValues.Create(" \r\n\t");

    public static void CheckSubject([NotNull] string? subject)
    {
        if (string.IsNullOrEmpty(subject) || subject.AsSpan().ContainsAny(White))
        {
            throw new NatsException("Subject is invalid.");
        }
    }

    public static void CheckReplyTo(string? replyTo)
    {
        if (replyTo is not null)
        {
            CheckSubject(replyTo);
        }
    }

    public static void CheckQueueGroup(string? queueGroup)
    {
        if (queueGroup is not null && (queueGroup.Length == 0 || queueGroup.AsSpan().ContainsAny(White)))
        {
            throw new NatsException("Queue group is invalid.");
        }
    }
}
