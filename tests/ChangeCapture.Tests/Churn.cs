using System.Globalization;
using Npgsql;

namespace RuleEngineNats.ChangeCapture.Tests;

/// <summary>
/// Workers that insert, update, delete and rename rows of a table <c>t</c> until they are stopped, in transactions of one to three statements. Every tenth row has
/// a value that is stored apart, which most updates leave as it is.
/// </summary>
internal sealed class Churn : IAsyncDisposable
{
    public const int Rows = 20_000;

    public static readonly string Table = $"""
        CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL, big text); ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
        INSERT INTO t SELECT g, 0, repeat('x', CASE g % 10 WHEN 0 THEN 3000 ELSE 10 END) FROM generate_series(1, {Rows}) g
        """;

    private const int Workers = 2;

    private readonly CaptureHarness _harness;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Task[] _workers;

    /// <param name="further">A statement that is among those of the workers now and then.</param>
    public Churn(CaptureHarness harness, string? further = null)
    {
        _harness = harness;
        _workers = [.. Enumerable.Range(0, Workers).Select(worker => Task.Run(() => WorkAsync(new(worker), further)))];
    }

    /// <summary>Stops the workers, waits until the capture has everything, and compares a replay of the stream with the table.</summary>
    public async Task<ReplayedTable> AssertReplayIsEqualAsync(ToolProcess tool)
    {
        await _stopping.CancelAsync();
        await Task.WhenAll(_workers);
        await _harness.ConfirmedAsync(tool);
        var stored = await _harness.ReadStreamAsync();
        Assert.Equal(stored.Count, stored.Select(message => message.Id).Distinct().Count());
        var replayed = ReplayedTable.Of(stored, "public.t", "id");
        Assert.Equal(await ReplayedTable.RowsAsync(_harness, "SELECT id, n, big FROM t"), replayed.Rows);
        return replayed;
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await Task.WhenAll(_workers);
        _stopping.Dispose();
    }

    private static string Statement(Random random)
    {
        var id = random.Next(1, Rows + 1).ToString(CultureInfo.InvariantCulture);
        return random.Next(10) switch
        {
            0 => $"DELETE FROM t WHERE id = {id}",
            1 => $"INSERT INTO t VALUES ({id}, 1, 'new') ON CONFLICT (id) DO UPDATE SET n = t.n + 1",
            // A new key, before or behind; the rest of the row goes along.
            2 => $"UPDATE t SET id = {random.Next(-Rows, 2 * Rows)} WHERE id = {id} AND length(big) < 100",
            3 => $"UPDATE t SET big = repeat('y', {random.Next(4000)}) WHERE id = {id}",
            _ => $"UPDATE t SET n = n + 1 WHERE id = {id}",
        };
    }

    private async Task WorkAsync(Random random, string? further)
    {
        while (!_stopping.IsCancellationRequested)
        {
            var statements = Enumerable.Range(0, random.Next(1, 4)).Select(_ => further is not null && random.Next(100) == 0 ? further : Statement(random));
            // The capture is to keep up: it shares the machine with the workers, the servers and other tests.
            await Task.Delay(TimeSpan.FromMilliseconds(2));
            try
            {
                await _harness.ExecuteAsync(string.Join("; ", statements));
            }
            catch (PostgresException exception) when (exception.SqlState is PostgresErrorCodes.UniqueViolation or PostgresErrorCodes.DeadlockDetected)
            {
                // The key is taken, or another worker has it: rolled back.
            }
        }
    }
}
