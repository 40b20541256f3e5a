using System.Globalization;
using System.Text.Json;

namespace RuleEngineNats.ChangeCapture.Tests;

/// <summary>Rows in a table <c>t</c>, and what the stream must hold of them.</summary>
internal static class Rows
{
    public const string Table = "CREATE TABLE t (id int PRIMARY KEY, worker int, pad text DEFAULT repeat('x', 100))";

    public static int[] Ids(IEnumerable<StoredEvent> stored) => [.. stored.Where(message => message.Subject == "postgres.public.t.insert")
        .Select(message => int.Parse(JsonElement.Parse(message.Body).GetProperty("Insert").GetProperty("new_tuple").GetProperty("id").GetString()!, CultureInfo.InvariantCulture))];

    // Two workers, a row or several a transaction.
    public static Task InsertAsync(CaptureHarness harness, int transactions) => Task.WhenAll(Enumerable.Range(0, 2).Select(worker => Task.Run(async () =>
    {
        for (var number = worker; number < transactions; number += 2)
        {
            await harness.ExecuteAsync($"INSERT INTO t SELECT {number * 10} + g, {worker} FROM generate_series(0, {number % 3}) g");
        }
    })));

    public static async Task MoreStoredAsync(CaptureHarness harness, ToolProcess tool)
    {
        var before = await harness.StoredAsync();
        await tool.WaitAsync(async () => await harness.StoredAsync() > before + 200, "more is stored");
    }

    public static async Task AssertAllStoredOnceAsync(CaptureHarness harness, int transactions)
    {
        var stored = await harness.ReadStreamAsync();
        Assert.Equal(stored.Count, stored.Select(message => message.Id).Distinct().Count());
        var ids = Ids(stored);
        Assert.Equal(Enumerable.Range(0, transactions).SelectMany(number => Enumerable.Range(number * 10, (number % 3) + 1)), ids.Order());

        // What one worker committed after the other comes after it, and each transaction lies between its begin and its commit.
        Assert.All(ids.GroupBy(id => id / 10 % 2), worker => Assert.Equal(worker.Order(), worker));
        Assert.Equal(transactions, stored.Count(message => message.Subject == "postgres.transactions.begin.event"));
        Assert.Equal(transactions, stored.Count(message => message.Subject == "postgres.transactions.commit.event"));
        Assert.Single(stored, message => message.Subject == "postgres.public.t.relation");
    }
}
