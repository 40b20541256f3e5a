using Microsoft.Extensions.Logging.Abstractions;
using NATS.Client.JetStream.Models;
using Npgsql;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.Messaging.Tests;

/// <summary>What Messaging reads from PostgreSQL and writes into it.</summary>
[Trait("Category", "Servers")]
public sealed class DatabaseTests
{
    [Fact]
    public async Task The_snapshot_follows_the_tables()
    {
        var connectionString = await (await PostgresServer.StartAsync()).CreateDatabaseAsync();
        await using var dataSource = NpgsqlDataSource.Create(connectionString);
        // The refresh by time is too late for this test: only a notification can bring the changes.
        using var watcher = Watcher(dataSource, new MessagingOptions { ConfigRefresh = TimeSpan.FromHours(1), ReadWebhookSecrets = true });
        await watcher.StartAsync(CancellationToken.None);
        await watcher.WaitForFirstAsync(CancellationToken.None);
        Assert.Equal("WEBHOOKS", watcher.Current.StreamFor(watcher.Current.ConfigsByName["default"].Id, "webhooks.a.b")!.Name);
        Assert.Null(watcher.Current.StreamFor(watcher.Current.ConfigsByName["default"].Id, "other.a"));

        await using var command = dataSource.CreateCommand(
            """
            INSERT INTO rule_webhooks (webhook_name, url, method, headers, timeout_ms, nats_enabled, nats_subject, publish_mode, deduplicate_for)
            VALUES ('w', 'http://127.0.0.1/', 'PUT', '{"X-A": "1", "X-B": "2"}', 1500, true, 'webhooks.w', 'both', '1 hour')
            """);
        await command.ExecuteNonQueryAsync();
        await Wait.UntilAsync(() => watcher.Current.WebhooksByName.ContainsKey("w"), "the webhook is in the snapshot");
        await using var secret = dataSource.CreateCommand("SELECT rule_webhook_secret_set((SELECT webhook_id FROM rule_webhooks WHERE webhook_name = 'w'), 'signing', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')");
        await secret.ExecuteNonQueryAsync();
        await Wait.UntilAsync(() => watcher.Current.WebhooksByName["w"].Secrets.Count == 1, "its secret is in the snapshot");

        var webhook = watcher.Current.WebhooksByName["w"];
        Assert.Equal(("PUT", TimeSpan.FromSeconds(1.5), "both", TimeSpan.FromHours(1)), (webhook.Method, webhook.Timeout, webhook.PublishMode, webhook.DeduplicateFor));
        Assert.Equal(("webhooks.w", "webhooks.w", true), (webhook.Subject, webhook.Filter, webhook.NatsEnabled));
        Assert.Equal("1", webhook.Headers["x-a"]);
        Assert.Equal("2", webhook.Headers["X-B"]);
        Assert.DoesNotContain("whsec", $"{webhook.Secrets[0]}", StringComparison.Ordinal);
        await watcher.StopAsync(CancellationToken.None);
    }

    [Fact]
    public async Task Without_leave_to_read_secrets_there_are_none()
    {
        var connectionString = await (await PostgresServer.StartAsync()).CreateDatabaseAsync();
        await using var dataSource = NpgsqlDataSource.Create(connectionString);
        await using var command = dataSource.CreateCommand("SELECT rule_webhook_register('w', 'http://127.0.0.1/')");
        await command.ExecuteNonQueryAsync();
        using var watcher = Watcher(dataSource, new MessagingOptions());

        Assert.Empty((await watcher.RefreshAsync(CancellationToken.None)).WebhooksByName["w"].Secrets);
    }

    [Fact]
    public async Task Streams_are_created_once_and_a_difference_is_reported_not_changed()
    {
        var connectionString = await (await PostgresServer.StartAsync()).CreateDatabaseAsync();
        await using var harness = await Harness.StartAsync(database: connectionString);
        await using var dataSource = NpgsqlDataSource.Create(connectionString);
        var provisioner = new StreamProvisioner(harness.Connections, harness.Watcher, dataSource, NullLogger<StreamProvisioner>.Instance);

        Assert.Equal((StreamState.Created, string.Empty), State(await provisioner.ProvisionAsync(CancellationToken.None)));
        Assert.Equal((StreamState.Exists, string.Empty), State(await provisioner.ProvisionAsync(CancellationToken.None)));
        var created = (await harness.JetStream.GetStreamAsync("WEBHOOKS")).Info.Config;
        Assert.Equal(["webhooks.>", "events.>"], created.Subjects!);
        Assert.Equal((StreamConfigDiscard.New, StreamConfigStorage.File, TimeSpan.FromMinutes(2), 512 * 1024, true),
            (created.Discard, created.Storage, created.DuplicateWindow, created.MaxMsgSize, created.DenyDelete));
        Assert.Equal("created", await ServerStateAsync(dataSource));

        await using var command = dataSource.CreateCommand("UPDATE rule_nats_streams SET max_age_seconds = 60, subjects = '{webhooks.>,events.>,more.>}' WHERE stream_name = 'WEBHOOKS'");
        await command.ExecuteNonQueryAsync();
        var (state, detail) = State(await provisioner.ProvisionAsync(CancellationToken.None));

        Assert.Equal(StreamState.Differs, state);
        Assert.Contains("does not take more.>", detail, StringComparison.Ordinal);
        Assert.Contains("max_age", detail, StringComparison.Ordinal);
        Assert.Equal("differs", await ServerStateAsync(dataSource));
        Assert.Equal(TimeSpan.FromDays(7), (await harness.JetStream.GetStreamAsync("WEBHOOKS")).Info.Config.MaxAge);
    }

    [Fact]
    public async Task The_bucket_for_large_bodies_is_created_once_and_one_that_keeps_them_for_less_is_reported_not_changed()
    {
        var connectionString = await (await PostgresServer.StartAsync()).CreateDatabaseAsync();
        await using var harness = await Harness.StartAsync(database: connectionString);
        await using var dataSource = NpgsqlDataSource.Create(connectionString);
        var provisioner = new StreamProvisioner(harness.Connections, harness.Watcher, dataSource, NullLogger<StreamProvisioner>.Instance);

        Assert.Equal(StreamState.Created, (await BucketAsync()).State);
        Assert.Equal(StreamState.Exists, (await BucketAsync()).State);
        var created = (await harness.JetStream.GetStreamAsync("OBJ_RULE_PAYLOADS")).Info.Config;
        Assert.Equal((TimeSpan.FromDays(9), StreamConfigDiscard.New, true), (created.MaxAge, created.Discard, created.AllowRollupHdrs));

        await using var command = dataSource.CreateCommand("UPDATE rule_nats_streams SET max_age_seconds = 864000");
        await command.ExecuteNonQueryAsync();
        Assert.Equal(
            new StreamReport("OBJ_RULE_PAYLOADS", "default", StreamState.Differs,
                "max_age is 9.00:00:00, less than the 12.00:00:00 that the streams ask for: the bodies of older events are gone before them"),
            await BucketAsync());
        Assert.Equal(TimeSpan.FromDays(9), (await harness.JetStream.GetStreamAsync("OBJ_RULE_PAYLOADS")).Info.Config.MaxAge);

        async Task<StreamReport> BucketAsync()
            => Assert.Single(await provisioner.ProvisionAsync(CancellationToken.None), report => report.Stream == "OBJ_RULE_PAYLOADS");
    }

    [Fact]
    public async Task History_waits_for_postgres_and_loses_nothing_it_holds()
    {
        await using var postgres = await PostgresServer.StartPrivateAsync();
        var connectionString = await postgres.CreateDatabaseAsync();
        await using var dataSource = NpgsqlDataSource.Create(connectionString);
        using var writer = Writer(dataSource, new MessagingOptions());
        await writer.StartAsync(CancellationToken.None);
        for (var number = 1; number <= 300; number++)
        {
            await writer.EnqueueAsync(Row(number), CancellationToken.None);
        }

        await Wait.UntilAsync(async () => await CountAsync(dataSource) > 0, "the first rows are written");
        await postgres.KillAsync();
        for (var number = 301; number <= 2000; number++)
        {
            await writer.EnqueueAsync(Row(number), CancellationToken.None);
        }

        await postgres.RestartAsync();

        await Wait.UntilAsync(async () => await CountAsync(dataSource) == 2000, "all rows are written");
        await writer.StopAsync(CancellationToken.None);
    }

    [Fact]
    public async Task A_row_that_the_table_refuses_holds_up_no_other()
    {
        var connectionString = await (await PostgresServer.StartAsync()).CreateDatabaseAsync();
        await using var dataSource = NpgsqlDataSource.Create(connectionString);
        using var writer = Writer(dataSource, new MessagingOptions());
        for (var number = 1; number <= 20; number++)
        {
            var row = Row(number);
            await writer.EnqueueAsync(number == 7 ? row with { Message = row.Message with { Body = "no json"u8.ToArray() } } : row, CancellationToken.None);
        }

        await writer.StartAsync(CancellationToken.None);
        await Wait.UntilAsync(async () => await CountAsync(dataSource) == 19, "the other rows are written");
        await writer.EnqueueAsync(Row(21), CancellationToken.None);
        await writer.StopAsync(CancellationToken.None);

        Assert.Equal(20, await CountAsync(dataSource));
    }

    [Fact]
    public async Task A_key_held_by_another_transaction_holds_up_no_row()
    {
        var connectionString = await (await PostgresServer.StartAsync()).CreateDatabaseAsync();
        await using var dataSource = NpgsqlDataSource.Create(connectionString);
        await using var holder = await dataSource.OpenConnectionAsync();
        await using var transaction = await holder.BeginTransactionAsync();
        await using (var hold = new NpgsqlCommand("INSERT INTO rule_nats_message_keys (webhook_id, message_id, body_sha256, expires_at) VALUES (1, 'm-2', '', now() + interval '1 day')", holder))
        {
            await hold.ExecuteNonQueryAsync();
        }

        using var writer = Writer(dataSource, new MessagingOptions());
        for (var number = 1; number <= 3; number++)
        {
            await writer.EnqueueAsync(Row(number) with { RememberFor = TimeSpan.FromHours(1) }, CancellationToken.None);
        }

        await writer.StartAsync(CancellationToken.None);
        await Wait.UntilAsync(async () => await CountAsync(dataSource) == 3, "all rows are written");
        await writer.StopAsync(CancellationToken.None);
        await using var keys = dataSource.CreateCommand("SELECT count(*) FROM rule_nats_message_keys");

        Assert.Equal(2L, await keys.ExecuteScalarAsync());
    }

    private static HistoryRow Row(int number) => new(
        new EventMessage("events.a", "{}"u8.ToArray(), $"1_m-{number}", "WEBHOOKS") { WebhookId = 1 },
        new PublishOutcome.Stored("WEBHOOKS", (ulong)number),
        TimeProvider.System.GetUtcNow(),
        TimeSpan.FromMilliseconds(1))
    {
        MessageId = $"m-{number}",
    };

    private static ConfigWatcher Watcher(NpgsqlDataSource dataSource, MessagingOptions options)
        => new(dataSource, new SecretBox(Microsoft.Extensions.Options.Options.Create(new SecretsOptions())), Microsoft.Extensions.Options.Options.Create(options), TimeProvider.System, NullLogger<ConfigWatcher>.Instance);

    private static HistoryWriter Writer(NpgsqlDataSource dataSource, MessagingOptions options)
        => new(dataSource, Microsoft.Extensions.Options.Options.Create(options), TimeProvider.System, NullLogger<HistoryWriter>.Instance);

    private static (StreamState State, string Detail) State(IReadOnlyList<StreamReport> reports)
    {
        var report = Assert.Single(reports, candidate => candidate.Stream == "WEBHOOKS");
        return (report.State, report.Detail);
    }

    private static async Task<string?> ServerStateAsync(NpgsqlDataSource dataSource)
    {
        await using var command = dataSource.CreateCommand("SELECT server_state FROM rule_nats_streams WHERE stream_name = 'WEBHOOKS'");
        return (string?)await command.ExecuteScalarAsync();
    }

    private static async Task<long> CountAsync(NpgsqlDataSource dataSource)
    {
        await using var command = dataSource.CreateCommand("SELECT count(*) FROM rule_nats_publish_history");
        return (long)(await command.ExecuteScalarAsync())!;
    }
}
