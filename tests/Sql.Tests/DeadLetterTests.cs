namespace RuleEngineNats.Sql.Tests;

[Trait("Category", "Servers")]
public sealed class DeadLetterTests
{
    // For statements that are refused and so change nothing.
    private static readonly Lazy<Task<SqlDatabase>> Untouched = new(() => WithDeadLettersAsync());

    [Fact]
    public async Task A_dead_letter_shows_its_reason_and_its_payload_to_those_who_may_see_it()
    {
        await using var database = await WithDeadLettersAsync();
        Assert.Equal("1|orders|evt_1|events.a|5|500|Max retries exceeded: HTTP 500", await database.ScalarAsync<string>(
            "SELECT concat_ws('|', call_id, webhook_name, event_id, subject, attempts, response_status, error_message) FROM rule_webhook_dead_letters WHERE call_id = 1"));
        Assert.Equal("""{"n": 1}|5|0""", await database.ScalarAsync<string>(
            "SELECT concat_ws('|', (d -> 'payload')::text, d ->> 'attempts_made', jsonb_array_length(d -> 'attempts')) FROM (SELECT rule_webhook_dead_letter(1)::jsonb) l(d)"));
        Assert.Equal("{2,3}", await database.ScalarAsync<string>("SELECT array_agg(call_id)::text FROM rule_webhook_dead_letter_list(1, p_after => 1, p_limit => 2)"));
        Assert.Equal("deleted webhook 7", await database.ScalarAsync<string>("SELECT webhook_name FROM rule_webhook_dead_letter_list(7)"));
        Assert.Equal(7L, await database.ScalarAsync<long>("SELECT count(*) FROM rule_webhook_dead_letter_list()"));
    }

    [Fact]
    public async Task A_redriven_call_is_due_at_once_with_its_id_its_attempts_and_all_its_retries()
    {
        await using var database = await WithDeadLettersAsync();
        Assert.True(await database.ScalarAsync<bool>("SELECT rule_webhook_redrive(1)"));
        Assert.Equal("pending|0|5|evt_1", await database.ScalarAsync<string>(
            "SELECT concat_ws('|', status, retry_count, attempts, event_id) FROM rule_webhook_calls WHERE call_id = 1 AND due_at <= clock_timestamp() AND completed_at IS NULL"));
        Assert.False(await database.ScalarAsync<bool>("SELECT rule_webhook_redrive(1)"));
        Assert.False(await database.ScalarAsync<bool>("SELECT rule_webhook_discard(1)"));
    }

    [Theory]
    [InlineData("{}", 6)]
    [InlineData("""{"response_status": 500}""", 3)]
    [InlineData("""{"error": "HTTP 410"}""", 3)]
    [InlineData("""{"error": "100%"}""", 0)]
    [InlineData("""{"subject": "events.*"}""", 2)]
    [InlineData("""{"subject": "events.>"}""", 6)]
    [InlineData("""{"from": "2030-01-02T00:00:00Z", "to": "2030-01-04T00:00:00Z"}""", 2)]
    [InlineData("""{"from": "2030-01-02T00:00:00Z", "response_status": 410, "subject": "events.b.>"}""", 2)]
    public async Task What_a_filter_selects_is_redriven_or_discarded_up_to_a_limit(string filter, int count)
    {
        await using var database = await WithDeadLettersAsync();
        var most = Math.Min(count, 2);
        Assert.Equal(most, await database.ScalarAsync<long>("SELECT rule_webhook_redrive_all(1, $1::jsonb, 2)", filter));
        Assert.Equal(most, await database.ScalarAsync<long>("SELECT count(*) FROM rule_webhook_calls WHERE status = 'pending' AND attempts = 5"));
        Assert.Equal(count - most, await database.ScalarAsync<long>("SELECT rule_webhook_discard_all(1, $1::jsonb)", filter));
        Assert.Equal(7 - (count - most), await database.ScalarAsync<long>("SELECT count(*) FROM rule_webhook_calls"));
        Assert.Equal(1L, await database.ScalarAsync<long>("SELECT rule_webhook_discard_all(7)"));
    }

    [Fact]
    public async Task More_than_a_batch_is_redriven_in_one_call_along_the_index()
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        await database.ExecuteAsync("""
            INSERT INTO rule_webhook_calls (webhook_id, payload, status, completed_at, attempts)
            SELECT 1, '{}', CASE WHEN n <= 11000 THEN 'failed' ELSE 'success' END, now(), 1 FROM generate_series(1, 30000) n
            """);
        await database.ExecuteAsync("ANALYZE rule_webhook_calls");
        Assert.Contains("idx_webhook_calls_dead", await database.ScalarAsync<string>(
            "EXPLAIN (FORMAT json) SELECT * FROM rule_webhook_dead_letters WHERE webhook_id = 2 AND completed_at > now() - interval '1 hour'"), StringComparison.Ordinal);
        Assert.Equal(11000L, await database.ScalarAsync<long>("SELECT rule_webhook_redrive_all(1)"));
    }

    [Theory]
    [InlineData("SELECT rule_webhook_redrive(99)", "P0002", "Call not found: 99")]
    [InlineData("SELECT rule_webhook_redrive(7)", "55000", "Webhook was deleted: 7")]
    [InlineData("SELECT rule_webhook_discard(99)", "P0002", "Call not found: 99")]
    [InlineData("SELECT rule_webhook_dead_letter(99)", "P0002", "Dead letter not found: 99")]
    [InlineData("SELECT rule_webhook_redrive_all(7)", "P0002", "Webhook not found: 7")]
    [InlineData("SELECT rule_webhook_redrive_all(1, '{}', 0)", "22023", "p_limit: must be 1 or more")]
    [InlineData("SELECT rule_webhook_discard_all(1, '{}', 0)", "22023", "p_limit: must be 1 or more")]
    [InlineData("SELECT rule_webhook_discard_all(NULL)", "22023", "p_webhook_id: must not be null")]
    [InlineData("SELECT rule_webhook_dead_letter_list(p_limit => 0)", "22023", "p_limit: must be 1 to 1001")]
    [InlineData("SELECT rule_webhook_redrive_all(1, '[]')", "22023", "p_filter: must be a JSON object")]
    [InlineData("""SELECT rule_webhook_redrive_all(1, '{"status": 500}')""", "22023", "p_filter: there is no key status; the keys are from, to, response_status, error, subject")]
    [InlineData("""SELECT rule_webhook_discard_all(1, '{"from": "soon"}')""", "22023", "p_filter: from: invalid input syntax for type timestamp with time zone")]
    [InlineData("""SELECT rule_webhook_discard_all(1, '{"from": null}')""", "22023", "p_filter: from must be a string")]
    [InlineData("""SELECT rule_webhook_discard_all(1, '{"response_status": "500"}')""", "22023", "p_filter: response_status must be a number")]
    [InlineData("""SELECT rule_webhook_discard_all(1, '{"response_status": 1e30}')""", "22023", "p_filter: response_status: ")]
    [InlineData("""SELECT rule_webhook_discard_all(1, '{"subject": "a..b"}')""", "22023", "p_filter: subject: ")]
    public async Task What_cannot_be_is_refused_by_its_name(string sql, string state, string message)
    {
        var database = await Untouched.Value;
        var refused = await database.RefusedAsync(sql);
        Assert.Equal(state, refused.SqlState);
        Assert.StartsWith(message, refused.MessageText, StringComparison.Ordinal);
    }

    // Six of webhook 1, on six days, and one of a webhook that is gone.
    private static async Task<SqlDatabase> WithDeadLettersAsync()
    {
        var database = await SqlDatabase.WithWebhookAsync();
        await database.ExecuteAsync("""
            INSERT INTO rule_webhook_calls (webhook_id, event_id, payload, subject, status, attempts, retry_count, response_status, error_message, completed_at)
            SELECT CASE WHEN n < 7 THEN 1 ELSE 7 END, 'evt_' || n, jsonb_build_object('n', n), CASE WHEN n IN (1, 4) THEN 'events.a' ELSE 'events.b.c' END, 'failed', 5, 4,
                   CASE WHEN n <= 3 THEN 500 ELSE 410 END, CASE WHEN n <= 3 THEN 'Max retries exceeded: HTTP 500' ELSE 'HTTP 410' END, '2030-01-01T12:00:00Z'::timestamptz + (n - 1) * interval '1 day'
              FROM generate_series(1, 7) n
            """);
        return database;
    }
}
