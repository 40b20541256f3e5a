using System.Globalization;
using Npgsql;
using RuleEngineNats.TestKit;
using Xunit.Abstractions;

namespace RuleEngineNats.ChangeCapture.Tests.Replay;

/// <summary>
/// pgbench and a workload of every kind are captured while the tool and nats-server are killed again and again; the stream, replayed into a second
/// database, makes it equal to the first. RULE_KILL_ROUNDS sets how often the tool is killed (nats-server a quarter of it), RULE_REPLAY_ROWS how large
/// the largest transaction is.
/// </summary>
[Trait("Category", "Servers")]
public sealed class ReplayTests(ITestOutputHelper output)
{
    private static readonly int Kills = Setting("RULE_KILL_ROUNDS", 3);
    private static readonly int LargeRows = Setting("RULE_REPLAY_ROWS", 50_000);

    [Fact]
    public async Task A_stream_written_through_kills_makes_a_second_database_equal_to_the_first()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(40));
        // Prepared and large transactions would keep other tests from making their slots.
        var postgres = await PostgresServer.StartPrivateAsync(["max_prepared_transactions=10"]);
        await using var harness = await CaptureHarness.CreateAsync(Workload.Schema, new(MaxPayload: 8 * 1024 * 1024), postgres: postgres);
        await using var second = await SecondDatabase.CreateAsync(Workload.Schema, postgres);
        await PrepareAsync(harness, second);
        var workload = new Workload(harness);
        var commit = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var killer = new Killer(harness);
        await killer.StartAsync();
        var writing = workload.RunAsync(Kills, limit.Token);
        var large = workload.WriteLargeAsync(LargeRows, commit.Task, limit.Token);
        for (var kill = 1; kill <= Kills; kill++)
        {
            workload.AllowRound();
            if (kill == (Kills / 2) + 1)
            {
                commit.SetResult();
            }

            await killer.KillAsync(natsToo: kill % 4 == Kills % 4, messages: commit.Task.IsCompleted ? LargeRows / Kills : 500, writing, large);
        }

        await writing;
        await large;
        var refused = await Assert.ThrowsAsync<PostgresException>(() => harness.ExecuteAsync("UPDATE unidentified SET a = 'b'"));
        Assert.Contains("does not have a replica identity and publishes updates", refused.MessageText, StringComparison.Ordinal);
        await harness.ExecuteAsync("SELECT pg_logical_emit_message(true, 'last', '')");
        await killer.DrainAsync();
        output.WriteLine($"{killer.Killed} kills of the tool and {killer.NatsKilled} of nats-server; the tool took at most {killer.PeakMegabytes} MiB");
        output.WriteLine(await second.AssertEqualAsync(harness));
    }

    private static int Setting(string name, int ordinary) => int.TryParse(Environment.GetEnvironmentVariable(name), CultureInfo.InvariantCulture, out var value) ? value : ordinary;

    private static async Task PrepareAsync(CaptureHarness harness, SecondDatabase second)
    {
        // So little that most transactions of the workload are sent before they end.
        var database = new NpgsqlConnectionStringBuilder(harness.ConnectionString).Database;
        await harness.ExecuteAsync($"ALTER DATABASE {database} SET logical_decoding_work_mem = '64kB'");
        await harness.ExecuteAsync("CREATE PUBLICATION rooted FOR TABLE rooted WITH (publish_via_partition_root)");
        await Workload.InitialiseBenchAsync(harness.ConnectionString);
        await Workload.InitialiseBenchAsync(second.ConnectionString);
    }
}
