using System.Globalization;
using Npgsql;
using NpgsqlTypes;

namespace RuleEngineNats.CdcRelay.Tests;

/// <summary>Writers that commit and roll back while a test breaks things. It knows which message ids must arrive and which must not.</summary>
internal sealed class Load
{
    private const int PerTransaction = 5;

    public HashSet<string> Committed { get; } = [];

    public HashSet<string> RolledBack { get; } = [];

    /// <summary>Goes on until the test has done its worst, and at least for <paramref name="events"/> events.</summary>
    public static async Task<Load> RunAsync(Outbox outbox, int webhookId, int events, Func<Task> worst)
    {
        var load = new Load();
        var breaking = worst();
        var writers = Enumerable.Range(0, 4).Select(writer => load.WriteAsync(outbox, webhookId, writer, events / 4, breaking)).ToArray();
        await breaking;
        await Task.WhenAll(writers);
        return load;
    }

    /// <summary>Nothing lost, nothing twice, nothing from a rollback; and the history says of each where it is.</summary>
    public async Task AssertArrivedAsync(Outbox outbox)
    {
        var messages = await outbox.AssertHistoryIsTheStreamAsync();
        var arrived = messages.Select(message => message.Id).ToHashSet();
        Assert.Empty(Committed.Except(arrived));
        Assert.Empty(RolledBack.Intersect(arrived));
        Assert.Equal(Committed.Count, messages.Count);
    }

    private async Task WriteAsync(Outbox outbox, int webhookId, int writer, int events, Task breaking)
    {
        // The pace leaves the machine to the services: the faults are to meet work under way, not a queue of it.
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        for (var transaction = 0; transaction * PerTransaction < events || !breaking.IsCompleted; transaction++)
        {
            await pace.WaitForNextTickAsync();
            var ids = Enumerable.Range(0, PerTransaction)
                .Select(n => string.Create(CultureInfo.InvariantCulture, $"{writer}-{transaction}-{n}")).ToArray();
            var rollback = transaction % 7 == 3;
            await TransactAsync(outbox, webhookId, ids, rollback);
            lock (Committed)
            {
                (rollback ? RolledBack : Committed).UnionWith(ids.Select(id => $"{webhookId}_{id}"));
            }
        }
    }

    private static async Task TransactAsync(Outbox outbox, int webhookId, string[] ids, bool rollback)
    {
        await using var connection = await outbox.Database.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using var command = new NpgsqlCommand(
            "SELECT count(rule_webhook_publish_nats($1, jsonb_build_object('id', id), id)) FROM unnest($2) AS id", connection, transaction)
        {
            Parameters = { new() { Value = webhookId }, new() { Value = ids, NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text } },
        };
        await command.ExecuteNonQueryAsync();
        await (rollback ? transaction.RollbackAsync() : transaction.CommitAsync());
    }
}
