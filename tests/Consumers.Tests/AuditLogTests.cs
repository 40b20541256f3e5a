using RuleEngineNats.TestKit;

namespace RuleEngineNats.Consumers.Tests;

/// <summary>The example, as a process, beside the rest of the graph.</summary>
[Trait("Category", "Servers")]
public sealed class AuditLogTests
{
    private const string Trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    [Fact]
    public async Task The_example_has_every_event_of_its_filter_once_though_it_is_killed_and_its_table_missing_at_first()
    {
        const int Events = 600;
        await using var stream = await Stream.StartAsync();
        await stream.ExecuteAsync("CREATE ROLE auditor LOGIN IN ROLE rule_worker");
        var least = new Npgsql.NpgsqlConnectionStringBuilder(stream.ConnectionString) { Username = "auditor" };
        await using var audit = await ServiceProcess.StartAsync("AuditLog", new Dictionary<string, string?>
        {
            ["ConnectionStrings__rules"] = least.ConnectionString,
            ["ConnectionStrings__nats"] = stream.Nats.Url,
            ["EventConsumers__audit-log__AckWait"] = "00:00:03",
            ["EventConsumers__audit-log__ProgressEvery"] = "00:00:01",
            ["EventConsumers__audit-log__RetryDelay"] = "00:00:00.500",
        });
        await stream.PublishAsync("webhooks.invoices.created", """{"order": "none"}""", "other");
        await stream.PublishAsync("webhooks.orders.created", """{"order": "first", "total": 12.50}""", "first", ("traceparent", Trace));
        await audit.SaysAsync("is given back: 42P01");
        await stream.ExecuteAsync(await File.ReadAllTextAsync(Repository.Path("examples", "consumers", "AuditLog", "schema.sql")));

        var publishing = stream.PublishManyAsync("webhooks.orders.changed", Events);
        for (var kill = 1; kill <= 2; kill++)
        {
            await Wait.UntilAsync(async () => await CountAsync() > kill * Events / 4, "more events are in the table");
            await audit.KillAsync();
            await audit.RestartAsync();
        }

        await publishing;
        // One at least for the process that is left, however fast the others were.
        await stream.PublishAsync("webhooks.orders.changed", """{"order": "last"}""", "last");
        await Wait.UntilAsync(async () => await CountAsync() == Events + 2, "all events are in the table");
        await stream.SettledAsync("audit-log");

        Assert.Equal(0, await stream.ScalarAsync<long>("SELECT count(*) FROM order_audit WHERE subject NOT LIKE 'webhooks.orders.%'"));
        Assert.Equal($"first|12.50|{Trace}", await stream.ScalarAsync<string>("SELECT concat_ws('|', order_number, total, traceparent) FROM order_audit WHERE event_id = 'first'"));
        Assert.Equal(0, await audit.TerminateAsync());
        Assert.DoesNotContain("gives up", audit.Output, StringComparison.Ordinal);
        Assert.Equal(1, await stream.ScalarAsync<long>("SELECT count(*) FROM rule_nats_consumer_stats WHERE queue_group = 'audit-log' AND NOT active AND messages_acknowledged > 0"));

        Task<long> CountAsync() => stream.ScalarAsync<long>("SELECT count(*) FROM order_audit");
    }
}
