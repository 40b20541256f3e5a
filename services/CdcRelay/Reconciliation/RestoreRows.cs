using Microsoft.Extensions.Options;
using Npgsql;
using RuleEngineNats.CdcRelay.Outbox;
using RuleEngineNats.Contracts;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.CdcRelay.Reconciliation;

/// <summary>
/// Publishes lost messages again, in the order of their old sequences: the same id, bytes and headers, and one header more that tells the worker to ask
/// whether they were delivered. The history then has the new place, and keeps the old.
/// </summary>
internal sealed class RestoreRows(NpgsqlDataSource dataSource, EventPublisher publisher, PrepareLargeRow prepare, IOptions<MessagingOptions> messaging)
{
    // In memory and in flight at once.
    private const int Batch = 200;

    private static readonly KeyValuePair<string, string> Restored = new(EventHeaders.Restored, "true");

    // Not the relay's: that one waits for the reconciler.
    private readonly PublishLane _lane = new();

    /// <param name="lastSequence">The stream's last sequence when the rows were found to be missing.</param>
    public async Task<Outcome> PublishAsync(StreamName name, IEnumerable<MissingRow> lost, ulong lastSequence, CancellationToken cancellationToken)
    {
        var total = new Outcome();
        foreach (var batch in lost.OrderBy(row => row.Sequence).Select(row => row.PublishId).Chunk(Batch))
        {
            var rows = await ReadAsync(batch, cancellationToken);
            var outcomes = await Task.WhenAll(rows.Select(row => PublishAsync(name, row, lastSequence, cancellationToken)));
            await MarkAsync(
                [.. rows.Zip(outcomes).Where(pair => PlaceOf(pair.Second) is not null).Select(pair => (pair.First.PublishId, PlaceOf(pair.Second)!.Value.Stream, PlaceOf(pair.Second)!.Value.Sequence))],
                cancellationToken);
            total += new Outcome
            {
                Republished = outcomes.Count(outcome => outcome is PublishOutcome.Stored),
                Duplicates = outcomes.Count(outcome => outcome is PublishOutcome.Duplicate),
                Refused = outcomes.Count(outcome => outcome is PublishOutcome.Refused),
                Unavailable = outcomes.Count(outcome => outcome is PublishOutcome.Unavailable),
                Error = outcomes.Select(outcome => outcome switch
                {
                    PublishOutcome.Refused refused => $"{refused.Reason}: {refused.Message}",
                    PublishOutcome.Unavailable unavailable => $"{unavailable.Reason}: {unavailable.Message}",
                    _ => null,
                }).FirstOrDefault(error => error is not null),
            };
        }

        return total;
    }

    /// <summary>Records where messages are that were published again before.</summary>
    public async Task MarkAsync(IReadOnlyList<(long PublishId, string Stream, ulong Sequence)> places, CancellationToken cancellationToken)
    {
        if (places.Count == 0)
        {
            return;
        }

        await using var command = dataSource.CreateCommand("SELECT rule_nats_mark_restored($1, $2, $3)");
        command.Parameters.Add(new() { Value = places.Select(place => place.PublishId).ToArray() });
        command.Parameters.Add(new() { Value = places.Select(place => place.Stream).ToArray() });
        command.Parameters.Add(new() { Value = places.Select(place => (long)place.Sequence).ToArray() });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private async Task<List<OutboxRow>> ReadAsync(long[] publishIds, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(
            $"SELECT {DecodeOutboxRow.Columns} FROM rule_nats_publish_history h WHERE h.publish_id = ANY($1) AND h.publish_id BETWEEN $2 AND $3 AND h.state = 'stored' ORDER BY h.sequence_number");
        command.Parameters.Add(new() { Value = publishIds });
        command.Parameters.Add(new() { Value = publishIds.Min() });
        command.Parameters.Add(new() { Value = publishIds.Max() });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var rows = new List<OutboxRow>(publishIds.Length);
        while (await reader.ReadAsync(cancellationToken))
        {
            rows.Add(DecodeOutboxRow.FromQuery(reader));
        }

        return rows;
    }

    private async Task<PublishOutcome> PublishAsync(StreamName name, OutboxRow row, ulong lastSequence, CancellationToken cancellationToken)
    {
        if (OutboxMessage.ReadHeaders(row.Headers, out var headers) is { } refusal)
        {
            return refusal;
        }

        // What was lost with the event may be its object too.
        (row, var failed) = prepare.IsNeeded(row, name.Config) ? await prepare.RunAsync(row, name.Config, cancellationToken) : (row, null);
        if (failed is not null)
        {
            return failed;
        }

        // Into the stream it was in, whatever the definitions say today.
        var message = OutboxMessage.Of(row, new(name.Config, name.Stream, Gate: ""), [.. headers, Restored], activity: null);
        var outcome = await publisher.PublishAsync(message, messaging.Value.PublishBudget, _lane, cancellationToken);

        // Not a duplicate of anything that is there: a message that was deleted leaves its id behind for the duplicate window.
        return outcome is PublishOutcome.Duplicate duplicate && duplicate.Sequence <= lastSequence
            ? new PublishOutcome.Unavailable(UnavailableReason.ServerError, "the server refuses the id of a deleted message until its duplicate window is over")
            : outcome;
    }

    private static (string Stream, ulong Sequence)? PlaceOf(PublishOutcome outcome) => outcome switch
    {
        PublishOutcome.Stored stored => (stored.Stream, stored.Sequence),
        PublishOutcome.Duplicate duplicate => (duplicate.Stream, duplicate.Sequence),
        _ => null,
    };

    /// <param name="Unavailable">Not stored yet: to be tried again.</param>
    internal readonly record struct Outcome(long Republished, long Duplicates, long Refused, long Unavailable, string? Error)
    {
        public static Outcome operator +(Outcome one, Outcome other) => new(
            one.Republished + other.Republished, one.Duplicates + other.Duplicates, one.Refused + other.Refused, one.Unavailable + other.Unavailable, one.Error ?? other.Error);
    }
}
