using System.Text.Json;
using System.Text.RegularExpressions;

namespace RuleEngineNats.ChangeCapture.Tests;

[Trait("Category", "Servers")]
public sealed partial class EventTests
{
    [Fact]
    public async Task Every_kind_of_change_is_an_event_on_its_subject()
    {
        await using var harness = await CaptureHarness.CreateAsync("""
            CREATE TYPE mood AS ENUM ('sad', 'ok');
            CREATE TABLE users (id int PRIMARY KEY, name text, m mood);
            CREATE TABLE "transactions" (id int);
            """);
        var tool = await harness.CaptureToNatsAsync();
        await harness.ExecuteAsync("INSERT INTO users VALUES (1, 'a', 'ok')");
        await harness.ExecuteAsync("UPDATE users SET name = 'b'");
        await harness.ExecuteAsync("UPDATE users SET id = 2");
        await harness.ExecuteAsync("DELETE FROM users");
        await harness.ExecuteAsync("TRUNCATE users, transactions RESTART IDENTITY CASCADE");
        await harness.ExecuteAsync("SELECT pg_logical_emit_message(false, 'outside', E'\\\\xff00'::bytea)");
        await harness.ExecuteAsync("SELECT pg_logical_emit_message(true, 'inside', 'text')");
        await harness.ExecuteAsync("INSERT INTO transactions VALUES (1); ROLLBACK");
        await tool.HasLinesAsync(23);
        await harness.ConfirmedAsync(tool);
        Assert.Equal(0, await tool.TerminateAsync());
        var lines = tool.Lines();
        Assert.Equal(
            """
            {"Begin":{"lsn":"#","timestamp":#,"xid":#}}
            {"Type":{"type_id":#,"schema":"public","name":"mood"}}
            {"Relation":{"relation_id":#,"schema":"public","table":"users","columns":[{"name":"id","type_id":23,"flags":1},{"name":"name","type_id":25,"flags":0},{"name":"m","type_id":#,"flags":0}]}}
            {"Insert":{"relation_id":#,"schema":"public","table":"users","new_tuple":{"id":"1","name":"a","m":"ok"}}}
            {"Commit":{"lsn":"#","timestamp":#}}
            {"Begin":{"lsn":"#","timestamp":#,"xid":#}}
            {"Update":{"relation_id":#,"schema":"public","table":"users","old_tuple":null,"new_tuple":{"id":"1","name":"b","m":"ok"}}}
            {"Commit":{"lsn":"#","timestamp":#}}
            {"Begin":{"lsn":"#","timestamp":#,"xid":#}}
            {"Update":{"relation_id":#,"schema":"public","table":"users","old_tuple":{"id":"1"},"new_tuple":{"id":"2","name":"b","m":"ok"}}}
            {"Commit":{"lsn":"#","timestamp":#}}
            {"Begin":{"lsn":"#","timestamp":#,"xid":#}}
            {"Delete":{"relation_id":#,"schema":"public","table":"users","old_tuple":{"id":"2"}}}
            {"Commit":{"lsn":"#","timestamp":#}}
            {"Begin":{"lsn":"#","timestamp":#,"xid":#}}
            {"Truncate":{"relation_id":#,"schema":"public","table":"users","cascade":true,"restart_identity":true}}
            {"Relation":{"relation_id":#,"schema":"public","table":"transactions","columns":[{"name":"id","type_id":23,"flags":0}]}}
            {"Truncate":{"relation_id":#,"schema":"public","table":"transactions","cascade":true,"restart_identity":true}}
            {"Commit":{"lsn":"#","timestamp":#}}
            {"Message":{"lsn":"#","transactional":false,"prefix":"outside","content_base64":"/wA="}}
            {"Begin":{"lsn":"#","timestamp":#,"xid":#}}
            {"Message":{"lsn":"#","transactional":true,"prefix":"inside","content":"text"}}
            {"Commit":{"lsn":"#","timestamp":#}}
            """.Split('\n'),
            lines.Select(line => Volatile().Replace(line, "$1#")));
        var stored = await harness.ReadStreamAsync();
        Assert.Equal(lines, stored.Select(message => message.Body));
        Assert.Equal(
            ["transactions.begin.event", "transactions.type.event", "public.users.relation", "public.users.insert", "transactions.commit.event"],
            stored.Take(5).Select(message => message.Subject["postgres.".Length..]));
        Assert.Equal(["public.users.truncate", "public.transactions.relation", "public.transactions.truncate"], stored.Skip(15).Take(3).Select(message => message.Subject["postgres.".Length..]));
        Assert.Equal(stored.Count, stored.Select(message => message.Id).Distinct().Count());
    }

    [Fact]
    public async Task Names_and_values_of_any_kind_go_through()
    {
        await using var harness = await CaptureHarness.CreateAsync("""
            CREATE SCHEMA "transactions"; CREATE TABLE "transactions"."begin" (id int PRIMARY KEY);
            CREATE SCHEMA "a.b c*>"; CREATE TABLE "a.b c*>"."t""'\>é" ("c.""o'l\" text, "日 😀" text);
            ALTER TABLE "a.b c*>"."t""'\>é" REPLICA IDENTITY FULL;
            CREATE TABLE kept (id int PRIMARY KEY, big text, small text);
            ALTER TABLE kept ALTER big SET STORAGE EXTERNAL;
            """);
        var tool = await harness.CaptureToNatsAsync("--with-transaction");
        await harness.ExecuteAsync("""INSERT INTO "transactions"."begin" VALUES (1)""");
        await harness.ExecuteAsync("""INSERT INTO "a.b c*>"."t""'\>é" VALUES (E'line\nquote" back\\ \u0001', 'é😀')""");
        await harness.ExecuteAsync("""DELETE FROM "a.b c*>"."t""'\>é" """);
        await harness.ExecuteAsync("INSERT INTO kept VALUES (1, repeat('x', 9000), 'a'); UPDATE kept SET small = 'b'; UPDATE kept SET big = NULL");
        await harness.ExecuteAsync($"BEGIN; INSERT INTO kept VALUES (3); PREPARE TRANSACTION '{harness.Slot}'");
        await harness.ExecuteAsync($"ROLLBACK PREPARED '{harness.Slot}'");
        await harness.ExecuteAsync("INSERT INTO kept VALUES (2, '', NULL)");
        await harness.ConfirmedAsync(tool);
        var stored = await harness.ReadStreamAsync();
        Assert.Equal(tool.Lines(), stored.Select(message => message.Body));
        Assert.Contains("postgres.%74ransactions.begin.insert", stored.Select(message => message.Subject));
        const string Table = "postgres.a%2Eb%20c%2A%3E.t%22%27%5C%3E%C3%A9.";
        var insert = Single(stored, Table + "insert").GetProperty("Insert");
        Assert.Equal(("a.b c*>", "t\"'\\>é"), (insert.GetProperty("schema").GetString(), insert.GetProperty("table").GetString()));
        Assert.Equal("line\nquote\" back\\ \u0001", insert.GetProperty("new_tuple").GetProperty("c.\"o'l\\").GetString());
        Assert.Equal("é😀", Single(stored, Table + "delete").GetProperty("Delete").GetProperty("old_tuple").GetProperty("日 😀").GetString());
        var updates = stored.Where(message => message.Subject == "postgres.public.kept.update").Select(message => JsonElement.Parse(message.Body).GetProperty("Update")).ToArray();
        Assert.Equal("""{"id":"1","small":"b"}""", updates[0].GetProperty("new_tuple").GetRawText());
        Assert.Equal("""["big"]""", updates[0].GetProperty("unchanged_toast").GetRawText());
        Assert.Equal("""{"id":"1","big":null,"small":"b"}""", updates[1].GetProperty("new_tuple").GetRawText());
        Assert.False(updates[1].TryGetProperty("unchanged_toast", out _));
        Assert.DoesNotContain("\"id\":\"3\"", string.Concat(stored.Select(message => message.Body)), StringComparison.Ordinal);
        Assert.Equal([1, 2, 3], stored.Where(message => message.Subject.StartsWith("postgres.public.kept.", StringComparison.Ordinal) && !message.Subject.EndsWith("relation", StringComparison.Ordinal)).Take(3)
            .Select(message => JsonElement.Parse(message.Body).EnumerateObject().Single().Value.GetProperty("transaction").GetProperty("sequence").GetInt32()));
    }

    private static JsonElement Single(IEnumerable<StoredEvent> stored, string subject) => JsonElement.Parse(stored.Single(message => message.Subject == subject).Body);

    // LSN, time, transaction id and the OIDs of what is not built in.
    [GeneratedRegex("""((?:"lsn":"|"timestamp":|"xid":|"relation_id":|"type_id":(?=\d{4})))[^",}]+""")]
    private static partial Regex Volatile();
}
