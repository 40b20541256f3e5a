using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Npgsql;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.Messaging.Tests;

[Trait("Category", "Servers")]
public sealed class ConfigWatcherTests
{
    [Fact]
    public async Task A_change_that_is_announced_while_the_tables_are_read_is_in_the_snapshot_after_that()
    {
        var connectionString = await (await PostgresServer.StartAsync()).CreateDatabaseAsync();
        await using var dataSource = NpgsqlDataSource.Create(connectionString);
        // Only a notification can bring the change: the refresh by time is too late.
        using var watcher = new ConfigWatcher(
            dataSource, new SecretBox(Options.Create(new SecretsOptions())), Options.Create(new MessagingOptions { ConfigRefresh = TimeSpan.FromHours(1) }), TimeProvider.System, NullLogger<ConfigWatcher>.Instance);
        await watcher.StartAsync(CancellationToken.None);
        await watcher.WaitForFirstAsync(CancellationToken.None);

        // The watcher reads, woken by the first webhook, until it waits for this lock; meanwhile the second is committed.
        await using var locking = await dataSource.OpenConnectionAsync();
        await using (var held = await locking.BeginTransactionAsync())
        {
            await ExecuteAsync(new NpgsqlCommand("LOCK TABLE rule_nats_streams IN ACCESS EXCLUSIVE MODE", locking));
            await ExecuteAsync(dataSource.CreateCommand("SELECT rule_webhook_register('first', 'http://127.0.0.1/')"));
            await Wait.UntilAsync(
                async () =>
                {
                    await using var waiting = dataSource.CreateCommand("""
                        SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'rule_nats_streams'::regclass
                                          AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
                        """);
                    return (bool)(await waiting.ExecuteScalarAsync())!;
                },
                "the watcher is in the middle of reading");
            await ExecuteAsync(dataSource.CreateCommand("SELECT rule_webhook_register('second', 'http://127.0.0.1/')"));
            await held.CommitAsync();
        }

        await Wait.UntilAsync(() => watcher.Current.WebhooksByName.ContainsKey("second"), "the second webhook is in the snapshot");
        Assert.Contains("first", watcher.Current.WebhooksByName.Keys);
        await watcher.StopAsync(CancellationToken.None);
    }

    private static async Task ExecuteAsync(NpgsqlCommand command)
    {
        await using (command)
        {
            await command.ExecuteNonQueryAsync();
        }
    }
}
