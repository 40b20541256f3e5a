using Npgsql;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.Sql.Tests;

/// <summary>SQL and the services refuse the same and say so in the same words: reliability.md section 4.</summary>
[Trait("Category", "Servers")]
public sealed class RuleParityTests
{
    // One database for all of the pure functions: they write nothing.
    private static readonly Lazy<Task<SqlDatabase>> Pure = new(() => SqlDatabase.CreateAsync());

    public static TheoryData<string> Subjects =>
    [
        "webhooks.orders", "a", "A-b_9.c", "", "a b", " a", "a\r\nPUB x 0", "a\tb", "a\u007fb", "a..b", ".a", "a.", ".", "..", "a.*", "a.>", "*", ">", "a*b", "a.b>",
        "$JS.API.STREAM.PURGE.X", "$SYS.REQ.SERVER.PING", "a.$b", "_INBOX", "_INBOX.x", "_INBOXES.x", "x._INBOX.y", "ev.\u202Egnp", "grün", "a.\U0001F600",
        new string('a', 255), new string('a', 256), new string('a', 5000), "ü" + new string('a', 254), string.Join('.', Enumerable.Repeat("t", 16)),
        string.Join('.', Enumerable.Repeat("t", 17)), string.Join('.', Enumerable.Repeat("t", 16)) + ".", string.Join('.', Enumerable.Repeat("t", 16)) + "..t",
        "a.*.b", "*.b", "a.>.b", "a.**", "a.*b", "a.>b", "a.b*", "a;b", "a/b", "a:b", "a'b", "a\"b", "a\\b", "a%b",
    ];

    public static TheoryData<string> MessageIds =>
    [
        "a", "order-17", "a.b", "it's", "grün", "漢字", "\U0001F600", "a b", " a", "a ", "a\tb", "a\r\nb", "a\u0001b", "a\u007fb", "a\u0085b", "a\u00a0b", "a\u1680b",
        "a\u2003b", "a\u200bb", "a\u200eb", "a\u2028b", "a\u202eb", "a\u202fb", "a\u205fb", "a\u3000b", "a\ufffdb", new string('x', 128), new string('x', 129),
        new string('ü', 128), new string('ü', 129), new string('x', 128) + " ", string.Concat(Enumerable.Repeat("\U0001F600", 128)), string.Concat(Enumerable.Repeat("\U0001F600", 129)),
        new string('x', 116), new string('x', 117), "a_b", "a:b", "~!@#$%^&*()",
    ];

    [Theory]
    [MemberData(nameof(Subjects))]
    public async Task A_subject_is_judged_alike_in_SQL_and_in_the_services(string subject)
    {
        foreach (var allowWildcards in (bool[])[false, true])
        {
            Assert.Equal(
                SubjectRules.Check(subject, allowWildcards)?.ToString(),
                await ErrorAsync("SELECT rule_nats_subject_check($1, $2)", subject, allowWildcards));
        }
    }

    [Theory]
    [MemberData(nameof(MessageIds))]
    public async Task A_message_id_is_judged_and_turned_into_a_Nats_Msg_Id_alike(string messageId)
    {
        Assert.Equal(MessageIdRules.Check(messageId)?.ToString(), await ErrorAsync("SELECT rule_nats_message_id_check($1)", messageId));
        var database = await Pure.Value;
        foreach (var webhook in (int[])[0, 7, int.MaxValue])
        {
            Assert.Equal(NatsMessageId.For(webhook, messageId), await database.ScalarAsync<string>("SELECT rule_nats_msg_id($1, $2)", webhook, messageId));
        }
    }

    [Theory]
    [InlineData("webhooks.>", "webhooks.a.b", true)]
    [InlineData("webhooks.>", "webhooks.*", true)]
    [InlineData("webhooks.>", "webhooks.>", true)]
    [InlineData("webhooks.>", "webhooks", false)]
    [InlineData("webhooks.*", "webhooks.>", false)]
    [InlineData("webhooks.*", "webhooks.a.b", false)]
    [InlineData("webhooks.*.b", "webhooks.a.b", true)]
    [InlineData("webhooks.a", "webhooks.*", false)]
    [InlineData(">", "a.b.c", true)]
    [InlineData("a.b", "a.b", true)]
    [InlineData("a.b", "a.b.c", false)]
    [InlineData("a.b.c", "a.b", false)]
    [InlineData("a.*.>", "a.b", false)]
    public async Task A_filter_covers_the_same_subjects_in_SQL_and_in_the_services(string filter, string subject, bool covers)
    {
        var database = await Pure.Value;
        Assert.Equal(covers, await database.ScalarAsync<bool>("SELECT rule_nats_subject_covers($1, $2)", filter, subject));
        Assert.Equal(covers, SubjectFilter.Covers(filter, subject));
    }

    [Theory]
    [InlineData("a.>", "a.b.c", true)]
    [InlineData("a.*", "*.b", true)]
    [InlineData("a.*.c", "a.b.>", true)]
    [InlineData("a.>", "a", false)]
    [InlineData("a.*", "a.b.c", false)]
    [InlineData("a.b", "a.c", false)]
    [InlineData(">", "x", true)]
    public async Task Overlap_is_that_of_JetStream_both_ways(string one, string other, bool overlap)
    {
        var database = await Pure.Value;
        Assert.Equal(overlap, await database.ScalarAsync<bool>("SELECT rule_nats_subjects_overlap($1, $2)", one, other));
        Assert.Equal(overlap, await database.ScalarAsync<bool>("SELECT rule_nats_subjects_overlap($2, $1)", one, other));
    }

    [Fact]
    public async Task The_channel_of_configuration_changes_is_the_one_the_services_listen_on()
    {
        await using var database = await SqlDatabase.CreateAsync();
        await using var connection = await database.Source.OpenConnectionAsync();
        var heard = new List<string>();
        connection.Notification += (_, e) => heard.Add(e.Payload);
        await database.ExecuteAsync(connection, $"LISTEN {NotifyChannels.ConfigChanged}");
        await database.ExecuteAsync("SELECT rule_webhook_register('a', 'https://example.com/')");
        await database.ExecuteAsync("SELECT rule_nats_init()");
        await database.ExecuteAsync("UPDATE rule_nats_streams SET enabled = enabled");
        await Wait.UntilAsync(
            async () =>
            {
                await database.ExecuteAsync(connection, "SELECT 1");
                return heard.Contains("rule_webhooks") && heard.Contains("rule_webhook_secrets") && heard.Contains("rule_nats_config") && heard.Contains("rule_nats_streams");
            },
            "every change is announced");
        // What the provisioner finds on the server is no change of the configuration, or it would wake itself for ever.
        heard.Clear();
        await database.ExecuteAsync("UPDATE rule_nats_streams SET server_state = 'exists', checked_at = now()");
        await database.ExecuteAsync("SELECT rule_nats_init()");
        await Wait.UntilAsync(
            async () =>
            {
                await database.ExecuteAsync(connection, "SELECT 1");
                return heard.Count > 0;
            },
            "the later announcement");
        Assert.Equal(["rule_nats_config"], heard);
    }

    private static async Task<string?> ErrorAsync(string sql, params object[] parameters)
    {
        var database = await Pure.Value;
        try
        {
            await database.ExecuteAsync(sql, parameters);
            return null;
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.InvalidParameterValue)
        {
            return e.MessageText;
        }
    }
}
