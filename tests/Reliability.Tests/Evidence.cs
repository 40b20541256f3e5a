using RuleEngineNats.Contracts;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.Reliability.Tests;

/// <summary>What stream, history and receiver hold after a load, and what must be true of it.</summary>
internal sealed class Evidence(
    PublishLoad load, IReadOnlyList<StoredEvent> stream, IReadOnlyList<HistoryRow> history, IReadOnlyList<ReceivedRequest> requests, string statistics)
{
    // Events in work at once, by worker: what a kill may repeat.
    private const int InFlight = 64;

    /// <summary>Waits until all is stored and delivered, then reads everything.</summary>
    public static async Task<Evidence> CollectAsync(ServiceGraph graph, GraphWebhook webhook, PublishLoad load, CancellationToken cancellationToken)
    {
        try
        {
            await Wait.UntilAsync(
                async () => await graph.ScalarAsync<long>("SELECT count(*) FROM rule_nats_publish_history WHERE state = 'pending'", [], cancellationToken) == 0,
                "no row is pending", cancellationToken: cancellationToken);

            // What was published last arrives last: after it nothing that should be absent can still come.
            await graph.ScalarAsync<string>("SELECT rule_webhook_publish_nats($1, '{\"last\": true}', 'last') ->> 'state'", [webhook.Id], cancellationToken);
            var last = NatsMessageId.For(webhook.Id, "last");
            await Wait.UntilAsync(
                () => graph.Receiver.At(webhook.Path).Any(request => request.Id == last),
                "the last event is delivered",
                cancellationToken: cancellationToken);
            var committed = load.Committed.ToHashSet();
            await Wait.UntilAsync(
                () => committed.IsSubsetOf(graph.Receiver.At(webhook.Path).Select(request => request.Id)),
                $"{committed.Count} events are delivered", cancellationToken: cancellationToken);

            var stream = await StreamContents.ReadAsync(graph.Nats.Url, cancellationToken: cancellationToken);
            var history = await HistoryRow.ReadAsync(graph.Database, webhook.Id, cancellationToken);
            return new(load,
                [.. stream.Where(stored => stored.Id != last)],
                [.. history.Where(row => row.Id != last)],
                [.. graph.Receiver.At(webhook.Path).Where(request => request.Id != last)],
                await graph.ScalarAsync<string>(
                    "SELECT concat_ws(' ', s ->> 'total_published', s ->> 'successful', s ->> 'failed', s ->> 'pending') FROM rule_nats_stats($1) s", [webhook.Id], cancellationToken));
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{e.Message}\n{graph.Output}", e);
        }
    }

    public string Summary => $"committed {load.Committed.Count}, rolled back {load.RolledBack.Count}, repeats {load.Repeats}, stored {stream.Count}, "
        + $"requests {requests.Count}, sent again {requests.Count - requests.DistinctBy(request => request.Id).Count()}";

    public void I1_no_committed_event_is_lost()
    {
        Assert.True(load.Committed.Count >= PublishLoad.Events);
        Assert.Empty(load.Committed.Except(stream.Select(stored => stored.Id)));
        Assert.Empty(load.Committed.Except(requests.Select(request => request.Id)));
    }

    public void I2_nothing_is_published_that_was_rolled_back()
    {
        Assert.NotEmpty(load.RolledBack);
        var ids = load.RolledBack.ToHashSet();
        Assert.DoesNotContain(stream, stored => ids.Contains(stored.Id));
        Assert.DoesNotContain(history, row => ids.Contains(row.Id));
        Assert.DoesNotContain(requests, request => ids.Contains(request.Id));

        // Nor anything else that nobody committed.
        Assert.Empty(stream.Select(stored => stored.Id).Except(load.Committed));
        Assert.Empty(requests.Select(request => request.Id).Except(load.Committed));
    }

    public void I3_every_event_is_stored_once()
    {
        Assert.True(load.Repeats > 0);
        Assert.Equal(0, load.WrongRepeats);
        Assert.Empty(stream.GroupBy(stored => stored.Id).Where(group => group.Count() > 1).Select(group => group.Key));
    }

    /// <summary>I5, I45: what the history says is where the stream has it.</summary>
    public void History_agrees_with_the_stream()
    {
        Assert.All(history, row => Assert.Equal(("stored", StreamNames.Webhooks), (row.State, row.Stream)));
        Assert.Equal(
            stream.Select(stored => (stored.Id, (long?)stored.Sequence)).Order(),
            history.Select(row => (row.Id, row.Sequence)).Order());
    }

    /// <summary>Statistics, history, stream and receiver count the same; the last event is in the statistics only.</summary>
    public void I45_the_counts_agree()
    {
        var count = requests.Select(request => request.Id).Distinct().Count();
        Assert.Equal((count, count), (history.Count, stream.Count));
        Assert.Equal($"{count + 1} {count + 1} 0 0", statistics);
    }

    /// <summary>I19: what is sent again is what was in flight, under the same id and with the same body.</summary>
    public void Only_what_was_in_flight_is_sent_again(int kills)
    {
        var repeated = requests.GroupBy(request => request.Id).Where(group => group.Count() > 1).ToArray();
        Assert.InRange(repeated.Sum(group => group.Count() - 1), 0, InFlight * kills);
        Assert.All(repeated, group => Assert.All(group, request => Assert.Equal(group.First().Body, request.Body)));
    }
}
