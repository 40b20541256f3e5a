using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Npgsql;
using RuleEngineNats.Contracts;
using RuleEngineNats.IngestionWorker.Pumping;
using RuleEngineNats.IngestionWorker.Storing;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.IngestionWorker.DeadLetters;

/// <summary>
/// Puts what cannot be stored into <see cref="StreamNames.MessagesDeadLetter"/>: its very bytes, with the reason in the headers. Only when the server has it does the
/// status say so, and only then is the message acknowledged; a stream that is full or away is waited for.
/// </summary>
internal sealed partial class SendDeadLetters(
    EventPublisher publisher, NpgsqlDataSource database, IngestionWorkerOptions options, string config, Obstacles obstacles, TimeProvider time, ILogger<SendDeadLetters> logger)
{
    private const int AtOnce = 64;
    private const int LongestReason = 2048;
    private const string Unknown = "unknown";

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);

    /// <param name="letters">The dead letters of a batch.</param>
    /// <param name="ownId">The id of a message that came under another document's.</param>
    /// <param name="cancellationToken">Gives up: nothing is acknowledged.</param>
    public async Task RunAsync(IReadOnlyList<DeadLetter> letters, Func<Arrival, Guid> ownId, CancellationToken cancellationToken)
    {
        if (letters.Count == 0)
        {
            return;
        }

        try
        {
            foreach (var part in (await LeftAsync(letters, ownId, cancellationToken)).Chunk(AtOnce))
            {
                var sent = await Task.WhenAll(part.Select(letter => PublishAsync(letters, letter, ownId, cancellationToken)));
                await BuryAsync(letters, sent, cancellationToken);
            }
        }
        finally
        {
            obstacles.Clear(letters);
        }
    }

    // One that became a dead letter in an earlier delivery, whose acknowledgement was lost, is done.
    private async Task<List<DeadLetter>> LeftAsync(IReadOnlyList<DeadLetter> letters, Func<Arrival, Guid> ownId, CancellationToken cancellationToken)
    {
        var known = await UntilAsync(letters, token => StatusTable.FindAsync(database, letters.Select(letter => letter.Id), token), cancellationToken);
        List<DeadLetter> left = [];
        foreach (var letter in letters)
        {
            var (isFinal, sha256) = known.GetValueOrDefault(letter.Id);
            if (!IsSame(sha256, letter.Sha256))
            {
                left.Add(Reused(letter, ownId));
            }
            else if (!isFinal)
            {
                left.Add(letter);
            }
            else
            {
                letter.Arrival.Settlement = Settlement.Ack;
            }
        }

        return left;
    }

    private async Task BuryAsync(object batch, (DeadLetter Letter, long Sequence)[] sent, CancellationToken cancellationToken)
    {
        await UntilAsync(
            batch,
            async token =>
            {
                await StatusTable.BuryAsync(database, options.Name ?? Environment.MachineName, [.. sent.DistinctBy(one => one.Letter.Id)], token);
                return true;
            },
            cancellationToken);
        foreach (var (letter, sequence) in sent)
        {
            letter.Arrival.Settlement = Settlement.Ack;
            IngestionMetrics.Failure(letter.Code, dead: true);
            LogSent(letter.Id, letter.Entity, letter.Code, letter.Arrival.Sequence, letter.Arrival.Delivery, sequence);
        }
    }

    private async Task<T> UntilAsync<T>(object batch, Func<CancellationToken, Task<T>> run, CancellationToken cancellationToken)
    {
        for (var failures = 1; ; failures++)
        {
            try
            {
                return await run(cancellationToken);
            }
            catch (Exception e) when (e is NpgsqlException or TimeoutException or IOException)
            {
                await PauseAsync(batch, StoreProblem.Of(e, null).Message, failures, cancellationToken);
            }
        }
    }

    private async Task<(DeadLetter Letter, long Sequence)> PublishAsync(object batch, DeadLetter letter, Func<Arrival, Guid> ownId, CancellationToken cancellationToken)
    {
        for (var failures = 1; ; failures++)
        {
            switch (await publisher.PublishAsync(MessageOf(letter), cancellationToken))
            {
                case PublishOutcome.Stored stored:
                    return (letter, (long)stored.Sequence);
                case PublishOutcome.Duplicate duplicate:
                    return (letter, (long)duplicate.Sequence);
                case PublishOutcome.Refused { Reason: RefusalReason.BodyMismatch } when letter.Code != DeadLetterCodes.KeyReused:
                    letter = Reused(letter, ownId);
                    continue;
                case PublishOutcome.Refused refused:
                    await PauseAsync(batch, $"{StreamNames.MessagesDeadLetter}: {refused.Message}", failures, cancellationToken);
                    break;
                case PublishOutcome.Unavailable unavailable:
                    await PauseAsync(batch, $"{StreamNames.MessagesDeadLetter}: {unavailable.Message}", failures, cancellationToken);
                    break;
            }
        }
    }

    private async Task PauseAsync(object batch, string reason, int failures, CancellationToken cancellationToken)
    {
        obstacles.Set(batch, reason);
        if (failures == 1)
        {
            LogWaiting(reason);
        }

        await Task.Delay(RetryPause.After(failures, FirstPause, LongestPause, Random.Shared.NextDouble() / 2), time, cancellationToken);
    }

    private EventMessage MessageOf(DeadLetter letter)
        => new(StreamNames.DeadLetterSubjectPrefix + TokenOf(letter.Entity), letter.Body, $"{letter.Id:D}-dlq", StreamNames.MessagesDeadLetter)
        {
            Config = config,
            Headers =
            [
                new(EventHeaders.DeadLetterCode, letter.Code),
                new(EventHeaders.DeadLetterReason, HeaderText(letter.Reason)),
                new(EventHeaders.DeadLetterAttempts, letter.Arrival.Delivery.ToString(CultureInfo.InvariantCulture)),
                new(EventHeaders.DeadLetterSequence, letter.Arrival.Sequence.ToString(CultureInfo.InvariantCulture)),
                new(EventHeaders.DeadLetterMessageId, letter.Id.ToString("D", CultureInfo.InvariantCulture)),
            ],
        };

    private static bool IsSame(byte[]? one, byte[]? other) => one is null || other is null || one.AsSpan().SequenceEqual(other);

    private static DeadLetter Reused(DeadLetter letter, Func<Arrival, Guid> ownId)
        => letter with { Id = ownId(letter.Arrival), Code = DeadLetterCodes.KeyReused, Reason = "another document came under the same id before" };

    // Anybody may have named it: what could be read as several tokens, or as a wildcard, is none.
    private static string TokenOf(string? entity) => entity is not null && Token().IsMatch(entity) ? entity : Unknown;

    /// <summary>Percent-encodes what is not visible ASCII, and the percent sign; cut between characters.</summary>
    internal static string HeaderText(string text)
    {
        var encoded = new StringBuilder(text.Length);
        Span<byte> bytes = stackalloc byte[4];
        foreach (var rune in text.EnumerateRunes())
        {
            var plain = rune.Value is >= ' ' and <= '~' and not '%';
            var length = rune.EncodeToUtf8(bytes);
            if (encoded.Length + (plain ? 1 : 3 * length) > LongestReason)
            {
                break;
            }

            if (plain)
            {
                encoded.Append((char)rune.Value);
                continue;
            }

            foreach (var one in bytes[..length])
            {
                encoded.Append(CultureInfo.InvariantCulture, $"%{one:X2}");
            }
        }

        return encoded.ToString().Trim();
    }

    [GeneratedRegex("^[A-Za-z0-9_-]{1,64}$", RegexOptions.CultureInvariant)]
    private static partial Regex Token();

    [LoggerMessage(Level = LogLevel.Warning, Message = "document {Id} ({Entity}) is a dead letter: {Code}; message {Sequence}, delivery {Delivery}, place {Place}")]
    private partial void LogSent(Guid id, string? entity, string code, long sequence, int delivery, long place);

    [LoggerMessage(Level = LogLevel.Warning, Message = "dead letters wait: {Reason}")]
    private partial void LogWaiting(string reason);
}
