using System.Diagnostics;
using System.Globalization;
using Microsoft.AspNetCore.Http;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.DeliveryWorker.Tests.Graph;

/// <summary>What a receiver can ask for, and gets.</summary>
[Trait("Category", "Servers")]
public sealed class EtiquetteTests
{
    private const string Schedule = """{"retry_schedule": [300, 600]}""";

    [Fact]
    public async Task I22_the_next_attempt_comes_when_the_schedule_and_the_receiver_say_so()
    {
        var date = TimeProvider.System.GetUtcNow().AddHours(1).ToString("R", CultureInfo.InvariantCulture);
        (string Name, int Status, string? RetryAfter, double Least, double Most)[] cases =
        [
            ("plain", 500, null, 240, 360), ("seconds", 429, "7", 240, 360), ("longer", 429, "900", 900, 1080), ("date", 503, date, 3580, 4330),
            ("negative", 500, "-1", 240, 360), ("huge", 500, "99999999", 86400, 103680), ("garbage", 500, "soon", 240, 360),
            ("gateway", 502, null, 240, 360), ("late", 504, null, 240, 360), ("moved", 301, null, 240, 360), ("missing", 404, null, 240, 360),
        ];
        await using var graph = await DeliveryGraph.StartAsync();
        foreach (var (name, status, retryAfter, _, _) in cases)
        {
            await graph.RegisterAsync(name, "events.>", "/" + name, settings: Schedule);
            graph.Receiver.Answer("/" + name, (context, _) => Answer(context, status, retryAfter));
        }

        await graph.RegisterAsync("empty", "events.>", "/empty");
        graph.Receiver.Answer("/empty", (context, _) => Answer(context, 204, null));
        await graph.RegisterAsync("throttled", "events.>", "/throttled", settings: """{"retry_schedule": [1]}""");
        graph.Receiver.Answer("/throttled", (context, _) => Answer(context, 503, null));
        await graph.StartWorkerAsync();

        await graph.PublishAsync("events.x", "{}", "1_x");
        await graph.SettledAsync(1);

        foreach (var (name, status, _, least, most) in cases.Append(("throttled", 503, null, 60, 72)))
        {
            var seconds = (double)(await graph.ScalarAsync("""
                SELECT extract(epoch FROM c.next_retry_at - c.started_at)::float8 FROM rule_webhook_calls c JOIN rule_webhooks USING (webhook_id)
                 WHERE webhook_name = $1 AND c.status = 'retrying' AND c.response_status = $2
                """, name, status))!;
            Assert.True(seconds >= least && seconds <= most + 5, $"{name}: {seconds:0.0} s, not {least} to {most}");
        }

        Assert.Equal(1, await graph.CountAsync("SELECT count(*) FROM rule_webhook_call_history WHERE outcome = 'delivered' AND response_status = 204"));
        Assert.DoesNotContain(graph.Receiver.Requests, request => request.Path == "/elsewhere");
    }

    [Fact]
    public async Task I22_410_switches_the_webhook_off_at_once_and_says_so()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var gone = await graph.RegisterAsync("gone", "events.>", "/gone");
        graph.Receiver.Answer("/gone", 410);
        await graph.StartWorkerAsync();

        await graph.PublishAsync("events.x", "{}", "1_x");
        await graph.DrainedAsync(1);

        Assert.Equal("f|410|HTTP 410", await graph.ScalarAsync("SELECT concat_ws('|', enabled, disabled_by, disabled_reason) FROM rule_webhooks WHERE webhook_id = $1 AND disabled_at IS NOT NULL", gone.Id));
        Assert.Equal("failed|HTTP 410|1", await graph.ScalarAsync("SELECT concat_ws('|', status, error_message, attempts) FROM rule_webhook_calls"));
        Assert.Equal("events.webhooks.dead_lettered:HTTP 410,events.webhooks.disabled:410", await graph.ScalarAsync("""
            SELECT string_agg(subject || ':' || coalesce(payload #>> '{data,by}', payload #>> '{data,error}'), ',' ORDER BY subject)
              FROM rule_nats_publish_history WHERE payload #>> '{data,webhook_name}' = 'gone' AND payload ->> 'type' = substr(subject, 8)
            """));
    }

    [Fact]
    public async Task I23_an_endpoint_that_is_down_costs_next_to_nothing()
    {
        const int Events = 500;
        await using var graph = await DeliveryGraph.StartAsync();
        await graph.RegisterAsync("down", "events.>", url: $"http://127.0.0.1:{Ports.Free()}/", settings: """{"retry_schedule": [1, 1, 1], "breaker_probe_seconds": 1}""");
        var worker = await graph.StartWorkerAsync();
        await graph.PublishManyAsync("events.x", Events, "1_");
        await graph.SettledAsync(Events);
        using var process = Process.GetProcessById(worker.Id);

        // A process that has just started compiles for a while.
        await ShareOfCoreAsync(process);
        var share = await ShareOfCoreAsync(process);

        Assert.True(share < 0.2, $"{share:P0} of a core while all that is due fails");
        Assert.Equal(1, await graph.CountAsync("SELECT count(*) FROM webhook_delivery_health WHERE circuit = 'open'"));
        Assert.InRange(await graph.CountAsync("SELECT max(attempts) FROM rule_webhook_calls"), 1, 4);
        Assert.InRange(await graph.CountAsync("SELECT count(*) FROM rule_webhook_call_history"), 10, 10 + 64 + 30);
    }

    private static async Task<double> ShareOfCoreAsync(Process process)
    {
        process.Refresh();
        var (before, clock) = (process.TotalProcessorTime, Stopwatch.StartNew());
        await Wait.UntilAsync(() => clock.Elapsed > TimeSpan.FromSeconds(10), "ten seconds of failing");
        process.Refresh();
        return (process.TotalProcessorTime - before) / clock.Elapsed;
    }

    [Fact]
    public async Task Days_of_nothing_but_failures_switch_a_webhook_off_and_a_probe_that_succeeds_switches_it_on()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var webhook = await graph.RegisterAsync("ill", "events.>", "/ill", settings: """{"recovery_probe_seconds": 1, "breaker_failures": 0, "retry_schedule": [1]}""");
        graph.Receiver.Answer("/ill", 500);
        await graph.StartWorkerAsync();
        await graph.PublishAsync("events.x", "{}", "1_first");
        await graph.SettledAsync(1);
        await graph.ExecuteAsync("UPDATE rule_webhook_health SET failing_since = now() - interval '6 days', consecutive_failures = 19");
        await graph.PublishAsync("events.x", "{}", "1_second");
        await Wait.UntilAsync(async () => await graph.CountAsync("SELECT count(*) FROM rule_webhooks WHERE NOT enabled AND disabled_by = 'failures' AND disabled_reason LIKE '%HTTP 500'") == 1, "it is off");
        await graph.Receiver.WaitForAsync(receiver => receiver.Requests.Count >= 4, "probes while it is off");

        graph.Receiver.Answer("/ill", 200);
        await Wait.UntilAsync(async () => await graph.CountAsync("SELECT count(*) FROM rule_webhooks WHERE enabled AND disabled_by IS NULL AND webhook_id = $1", webhook.Id) == 1, "it is on again");
        var number = 0;
        await Wait.UntilAsync(
            async () =>
            {
                await graph.PublishAsync("events.x", "{}", $"1_third{++number}");
                await graph.SettledAsync(2 + number);
                return graph.Receiver.Requests.Any(request => request.Id.StartsWith("1_third", StringComparison.Ordinal));
            },
            "the next event that the worker sees after it");
        Assert.Equal("disabled,recovered", await graph.ScalarAsync("SELECT string_agg(substr(subject, 17), ',' ORDER BY publish_id) FROM rule_nats_publish_history WHERE subject NOT LIKE '%dead_lettered'"));
    }

    [Fact]
    public async Task I30_a_webhook_that_is_switched_off_gets_nothing_more_and_what_it_misses_is_recorded()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var webhook = await graph.RegisterAsync("off", "events.>", "/off");
        await graph.StartWorkerAsync();
        await graph.PublishAsync("events.x", "{}", "1_before");
        await graph.Receiver.WaitForAsync(receiver => receiver.Requests.Count == 1, "it is delivered to");
        await graph.ExecuteAsync("SELECT rule_webhook_enqueue($1, '{}', NULL, now() + interval '4 seconds')", webhook.Id);

        await graph.ExecuteAsync("UPDATE rule_webhooks SET enabled = false WHERE webhook_id = $1", webhook.Id);
        var off = TimeProvider.System.GetUtcNow();
        var number = 0;
        await Wait.UntilAsync(
            async () =>
            {
                await graph.PublishAsync("events.x", "{}", $"1_{number++}");
                return TimeProvider.System.GetUtcNow() - off > TimeSpan.FromSeconds(5);
            },
            "events for five seconds");
        await graph.SettledAsync(1 + number);

        Assert.DoesNotContain(graph.Receiver.Requests, request => request.At - off > TimeSpan.FromSeconds(2));
        Assert.Equal(number, await graph.CountAsync("SELECT count(*) FROM rule_webhook_call_history WHERE outcome IN ('cancelled', 'delivered') AND event_id <> '1_before'"));
        Assert.True(await graph.CountAsync("SELECT count(*) FROM rule_webhook_call_history WHERE outcome = 'cancelled' AND error_message = 'Webhook is disabled' AND stream_sequence > 1") > 0);
        Assert.Equal("user|pending", await graph.ScalarAsync("SELECT concat_ws('|', disabled_by, status) FROM rule_webhook_calls JOIN rule_webhooks USING (webhook_id)"));

        await graph.ExecuteAsync("SELECT rule_webhook_delete($1)", webhook.Id);
        Assert.Equal("failed|Webhook deleted", await graph.ScalarAsync("SELECT concat_ws('|', status, error_message) FROM rule_webhook_calls"));
    }

    [Fact]
    public async Task An_attempt_says_where_it_went_how_long_each_part_took_and_what_came_back()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        await graph.RegisterAsync("kept", "events.>", "/kept", settings: """{"response_headers_kept": ["content-type", "x-request-id"]}""");
        graph.Receiver.Answer("/kept", async (context, _) =>
        {
            context.Response.Headers["x-request-id"] = "r-1";
            context.Response.Headers["x-secret"] = "s";
            context.Response.Headers.SetCookie = "a=b";
            context.Response.ContentType = "text/plain";
            await context.Response.WriteAsync("taken", context.RequestAborted);
        });
        await graph.StartWorkerAsync();

        await graph.PublishAsync("events.x", "{}", "1_1");
        await graph.SettledAsync(1);
        await graph.PublishAsync("events.x", "{}", "1_2");
        await graph.SettledAsync(2);

        // The second went over the first one's connection.
        Assert.Equal("t|f,f|f", await graph.ScalarAsync("""
            SELECT string_agg(concat_ws('|', connect_ms IS NOT NULL, tls_ms IS NOT NULL), ',' ORDER BY event_id) FROM rule_webhook_call_history
             WHERE remote_address = $1 AND worker LIKE '%:%:%' AND first_byte_ms BETWEEN 0 AND execution_time_ms AND response_body = 'taken'
               AND response_headers = '{"content-type": "text/plain", "x-request-id": "r-1"}'
            """, $"127.0.0.1:{graph.Receiver.Port}"));
    }

    [Fact]
    public async Task A_backlog_over_the_threshold_is_an_event_when_it_begins_and_when_it_ends()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var webhook = await graph.RegisterAsync("behind", null, "/behind", settings: """{"backlog_threshold": 5}""");
        await graph.ExecuteAsync("SELECT rule_webhook_enqueue($1, '{}', NULL, now() + interval '1 hour') FROM generate_series(1, 6)", webhook.Id);
        await graph.StartWorkerAsync();
        await Wait.UntilAsync(async () => await graph.CountAsync("SELECT count(*) FROM webhook_delivery_health WHERE waiting = 6") == 1, "six wait");
        await Wait.UntilAsync(async () => await graph.CountAsync("SELECT count(*) FROM rule_nats_publish_history WHERE subject = 'events.webhooks.backlog'") == 1, "the worker says so");

        await graph.ExecuteAsync("UPDATE rule_webhook_calls SET scheduled_at = now()");
        await graph.Receiver.WaitForAsync(receiver => receiver.Requests.Count == 6, "all are made");
        await Wait.UntilAsync(async () => await graph.CountAsync("SELECT count(*) FROM rule_nats_publish_history WHERE subject = 'events.webhooks.backlog'") == 2, "and says that it is over");

        Assert.Equal("true:6:behind,false:0:behind", await graph.ScalarAsync("""
            SELECT string_agg(concat_ws(':', payload #>> '{data,above}', payload #>> '{data,waiting}', payload #>> '{data,webhook_name}'), ',' ORDER BY publish_id) FROM rule_nats_publish_history
            """));
    }

    private static Task Answer(HttpContext context, int status, string? retryAfter)
    {
        context.Response.StatusCode = status;
        context.Response.Headers.Location = status == 301 ? "/elsewhere" : default(string);
        if (retryAfter is not null)
        {
            context.Response.Headers.RetryAfter = retryAfter;
        }

        return Task.CompletedTask;
    }
}
