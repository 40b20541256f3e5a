using System.Globalization;
using System.Text.Json;

namespace RuleEngineNats.ChangeCapture.Tests;

/// <summary>Two workers that commit rows to a table <c>t</c> until they are stopped, and what the stream must hold of them.</summary>
internal sealed class Rows : IDisposable
{
    public const string Table = "CREATE TABLE t (id int PRIMARY KEY, worker int, pad text DEFAULT repeat('x', 100))";

    private const int Workers = 2;

    private readonly CaptureHarness _harness;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Task<int>[] _workers;

    public Rows(CaptureHarness harness)
    {
        _harness = harness;
        _workers = [.. Enumerable.Range(0, Workers).Select(worker => Task.Run(() => InsertAsync(worker)))];
    }

    public static int[] Ids(IEnumerable<StoredEvent> stored) => [.. stored.Where(message => message.Subject == "postgres.public.t.insert")
        .Select(message => int.Parse(JsonElement.Parse(message.Body).GetProperty("Insert").GetProperty("new_tuple").GetProperty("id").GetString()!, CultureInfo.InvariantCulture))];

    /// <summary>Waits until the stream has some hundred messages more.</summary>
    public async Task MoreStoredAsync(ToolProcess tool)
    {
        var before = await _harness.StoredAsync();
        await tool.WaitAsync(async () => await _harness.StoredAsync() > before + 200, "more is stored");
    }

    /// <summary>Stops the workers.</summary>
    public async Task<int[]> StopAsync()
    {
        await _stopping.CancelAsync();
        return await Task.WhenAll(_workers);
    }

    /// <summary>Stops the workers, and waits until everything is confirmed: each row is stored once, in the order of the commits.</summary>
    public async Task<List<StoredEvent>> AssertAllStoredOnceAsync(ToolProcess tool)
    {
        var transactions = await StopAsync();
        await _harness.ConfirmedAsync(tool);
        var stored = (await _harness.ReadStreamAsync()).Where(message => message.Subject != "postgres.other").ToList();
        Assert.Equal(stored.Count, stored.Select(message => message.Id).Distinct().Count());
        var ids = Ids(stored);
        Assert.Equal(
            Enumerable.Range(0, Workers).SelectMany(worker => Enumerable.Range(0, transactions[worker]).SelectMany(number => RowsOf(worker, number))).Order(),
            ids.Order());
        Assert.All(ids.GroupBy(id => id / 10 % Workers), worker => Assert.Equal(worker.Order(), worker));
        Assert.Equal(transactions.Sum(), stored.Count(message => message.Subject == "postgres.transactions.begin.event"));
        Assert.Equal(transactions.Sum(), stored.Count(message => message.Subject == "postgres.transactions.commit.event"));
        Assert.Single(stored.Where(message => message.Subject == "postgres.public.t.relation").Select(message => message.Body).Distinct());
        return stored;
    }

    public void Dispose() => _stopping.Dispose();

    // One to three rows a transaction.
    private static IEnumerable<int> RowsOf(int worker, int number) => Enumerable.Range(((number * Workers) + worker) * 10, (number % 3) + 1);

    private async Task<int> InsertAsync(int worker)
    {
        var number = 0;
        for (; !_stopping.IsCancellationRequested; number++)
        {
            await _harness.ExecuteAsync($"INSERT INTO t (id) VALUES {string.Join(", ", RowsOf(worker, number).Select(id => $"({id})"))}");
        }

        return number;
    }
}
