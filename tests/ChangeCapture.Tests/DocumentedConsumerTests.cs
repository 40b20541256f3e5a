using RuleEngineNats.TestKit;

namespace RuleEngineNats.ChangeCapture.Tests;

[Trait("Category", "Servers")]
public sealed class DocumentedConsumerTests
{
    [Fact]
    public async Task The_consumer_in_bash_prints_what_the_stream_has_and_goes_on_behind_it()
    {
        await using var harness = await CaptureHarness.CreateAsync("CREATE TABLE users (id int PRIMARY KEY, name text)");
        var tool = await harness.CaptureToNatsAsync();
        await harness.ExecuteAsync("INSERT INTO users VALUES (1, 'é')");
        await harness.ConfirmedAsync(tool);
        await PrintsAsync(harness, stored => stored.Where(message => message.Subject.StartsWith("postgres.public.users.", StringComparison.Ordinal)));
        await harness.ExecuteAsync("DELETE FROM users");
        await harness.ConfirmedAsync(tool);
        await PrintsAsync(harness, stored => stored.Where(message => message.Subject == "postgres.public.users.delete"));
    }

    private static async Task PrintsAsync(CaptureHarness harness, Func<IEnumerable<StoredEvent>, IEnumerable<StoredEvent>> choose)
    {
        var document = await File.ReadAllTextAsync(Repository.Path("docs", "change-data-capture.md"));
        var script = document.Split("```bash\n")[1].Split("```")[0];
        await using var consumer = ChildProcess.Start(
            "bash", ["-c", script], new Dictionary<string, string?> { ["NATS_HOST"] = "127.0.0.1", ["NATS_PORT"] = harness.Nats.Port.ToString(System.Globalization.CultureInfo.InvariantCulture) });
        var expected = string.Join('\n', choose(await harness.ReadStreamAsync()).Select(message => $"{message.Id} {message.Body}"));
        await Wait.UntilAsync(() => Task.FromResult(consumer.Output == expected || (consumer.HasExited ? throw new InvalidOperationException(consumer.Output) : false)), $"the consumer prints {expected}");
        // Acknowledged, and nothing more came.
        await Wait.UntilAsync(async () => (await harness.JetStream.GetConsumerAsync(CaptureHarness.Stream, "users-bash")).Info is { NumPending: 0, NumAckPending: 0 }, "all of it is acknowledged");
        Assert.Equal(expected, consumer.Output);
    }
}
