using System.Text.Json;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.ChangeCapture.Tests;

[Trait("Category", "Servers")]
public sealed class ValueTests
{
    internal const string Schema = """
        CREATE TYPE mood AS ENUM ('sad', 'o''k, "so"'); CREATE TYPE pair AS (a int, b text); CREATE DOMAIN posint AS int CHECK (VALUE > 0);
        CREATE TABLE types (id int PRIMARY KEY, c_bool bool, c_int2 int2, c_int8 int8, c_float4 float4, c_float8 float8, c_numeric numeric, c_money money,
          c_text text, c_varchar varchar(9), c_char char(5), c_name name, c_chr "char", c_bytea bytea, c_date date, c_time time, c_timetz timetz, c_timestamp timestamp,
          c_timestamptz timestamptz, c_interval interval, c_uuid uuid, c_json json, c_jsonb jsonb, c_xml xml, c_inet inet, c_cidr cidr, c_mac macaddr, c_mac8 macaddr8,
          c_bit bit(3), c_varbit varbit, c_point point, c_line line, c_lseg lseg, c_box box, c_path path, c_polygon polygon, c_circle circle, c_tsvector tsvector,
          c_tsquery tsquery, c_int4range int4range, c_tstzrange tstzrange, c_multi nummultirange, c_oid oid, c_lsn pg_lsn, c_snapshot pg_snapshot, c_jsonpath jsonpath,
          c_ints int[], c_texts text[], c_moods mood[], c_mood mood, c_pair pair, c_pairs pair[], c_dom posint, c_boxes box[], c_regclass regclass,
          c_generated int GENERATED ALWAYS AS (id * 2) STORED);
        """;

    internal const string Filled = """
        INSERT INTO types VALUES
        (1, true, -32768, 9223372036854775807, 'NaN', 1.7976931348623157e308, '123456789012345678901234567890.000100', '-12.34', E'q"\\ \n\t é😀', '', 'ab', 'n', 'x', '\x00ff',
         '0044-03-15 BC', '24:00:00', '23:59:59.999999-12', 'infinity', '-infinity', '-1 year 2 mons -3 days 04:05:06.789', '00000000-0000-0000-0000-00000000000a', '{"a":  [1.0, "\u0041"]}',
         '{"b": null, "a": 1e5}', '<a b="c">d</a>', '::1/64', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', B'101', B'', '(1e300,-0)', '{1,2,3}', '[(0,0),(1,1)]', '(2,2),(0,0)',
         '[(0,0),(1,1)]', '((0,0),(1,1),(2,0))', '<(0,0),5>', $$'it''s':1A b$$, $$'a' & !'b c':*$$, '(,5]', '[2020-01-01 00:00+02,infinity)', '{[1.5,2),[3,)}', 4294967295, 'FFFFFFFF/FFFFFFFF',
         '10:20:10,14,15', '$.a[*] ? (@ > 1)', '{1,NULL,-3}', ARRAY['', 'NULL', NULL, 'a,b', E'q"\\', '{}'], ARRAY['o''k, "so"', NULL]::mood[], 'o''k, "so"', ROW(1, 'x,"y"'), ARRAY[ROW(1, NULL), NULL]::pair[],
         5, '{(1,1),(0,0);(3,3),(2,2)}', 'pg_class');
        INSERT INTO types (id, c_float4, c_float8, c_numeric) VALUES (2, '-Infinity', 'Infinity', 'NaN'), (3, '-0', 5e-324, '-Infinity'), (4, NULL, NULL, NULL);
        INSERT INTO types (id, c_texts, c_ints) VALUES (5, '{}', '[-1:1][2:3]={{1,2},{3,4},{5,6}}');
        """;

    [Theory]
    [InlineData("text")]
    [InlineData("typed")]
    public async Task Every_built_in_type_comes_through_whole(string style)
    {
        await using var harness = await CaptureHarness.CreateAsync(Schema);
        await harness.ExecuteAsync("CREATE TABLE copied (LIKE types INCLUDING INDEXES)");
        await harness.ExecuteAsync("ALTER ROLE postgres SET datestyle = 'SQL, DMY'");
        var tool = await harness.CaptureAsync("--values", style, "--table", "public.types");
        await harness.ExecuteAsync("ALTER ROLE postgres RESET datestyle");
        await harness.ExecuteAsync(Filled);
        await harness.ConfirmedAsync(tool);
        var inserts = tool.Lines().Select(line => JsonElement.Parse(line)).Where(line => line.TryGetProperty("Insert", out _)).Select(line => line.GetProperty("Insert").GetProperty("new_tuple")).ToArray();
        Assert.Equal(5, inserts.Length);
        foreach (var row in inserts)
        {
            var columns = row.EnumerateObject().Where(column => column.Name != "c_generated").ToArray();
            await harness.ExecuteAsync(
                $"INSERT INTO copied ({string.Join(", ", columns.Select(column => column.Name))}) VALUES ({string.Join(", ", columns.Select(column => Literal(column.Value)))})");
        }

        await harness.ExecuteAsync("UPDATE copied SET c_generated = id * 2");
        Assert.Equal(0, await harness.ScalarAsync<long>("SELECT count(*) FROM (SELECT t::text FROM types t EXCEPT SELECT c::text FROM copied c) AS different"));
        Assert.Equal(5, await harness.ScalarAsync<long>("SELECT count(*) FROM copied"));
    }

    [Fact]
    public async Task Tables_that_change_are_described_anew_before_their_rows()
    {
        await using var harness = await CaptureHarness.CreateAsync("""
            CREATE TABLE p (id int, k int, PRIMARY KEY (id, k)) PARTITION BY RANGE (k); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
            CREATE TABLE u (a int NOT NULL, b text); CREATE UNIQUE INDEX u_a ON u (a); ALTER TABLE u REPLICA IDENTITY USING INDEX u_a;
            """);
        var tool = await harness.CaptureToNatsAsync();
        await harness.ExecuteAsync("INSERT INTO p VALUES (1, 1); INSERT INTO u VALUES (1, 'x')");
        await harness.ExecuteAsync("ALTER TABLE u ADD c int DEFAULT 7");
        await harness.ExecuteAsync("UPDATE u SET a = 2; ALTER TABLE u DROP b; DELETE FROM u");
        await harness.ConfirmedAsync(tool);
        var stored = await harness.ReadStreamAsync();
        var subjects = stored.Select(message => message.Subject["postgres.".Length..]).Where(subject => !subject.StartsWith("transactions.", StringComparison.Ordinal));
        Assert.Equal(["public.p1.relation", "public.p1.insert", "public.u.relation", "public.u.insert", "public.u.relation", "public.u.update", "public.u.relation", "public.u.delete"], subjects);
        Assert.Contains("""old_tuple":{"a":"1"},"new_tuple":{"a":"2","b":"x","c":"7"}""", stored.Single(message => message.Subject.EndsWith("u.update", StringComparison.Ordinal)).Body, StringComparison.Ordinal);
        Assert.Contains("""old_tuple":{"a":"2"}""", stored.Single(message => message.Subject.EndsWith("u.delete", StringComparison.Ordinal)).Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_publication_that_is_altered_holds_from_the_commit_on()
    {
        await using var harness = await CaptureHarness.CreateAsync("CREATE TABLE a (id int PRIMARY KEY, n text); CREATE TABLE b (id int PRIMARY KEY); CREATE PUBLICATION few FOR TABLE a");
        var tool = harness.Start("-c", harness.ConnectionString, "-s", harness.Slot, "-p", "few", "--create-slot");
        await tool.SaysAsync("capturing from slot");
        await harness.ExecuteAsync("INSERT INTO a VALUES (1, 'x'); INSERT INTO b VALUES (1)");
        await harness.ExecuteAsync("ALTER PUBLICATION few ADD TABLE b");
        await harness.ExecuteAsync("INSERT INTO b VALUES (2)");
        await harness.ExecuteAsync("ALTER PUBLICATION few SET TABLE a (id), b WHERE (id > 3)");
        await harness.ExecuteAsync("INSERT INTO a VALUES (2, 'x'); INSERT INTO b VALUES (3), (4)");
        await harness.ExecuteAsync("ALTER PUBLICATION few SET (publish = 'insert')");
        await harness.ExecuteAsync("DELETE FROM a; INSERT INTO a VALUES (3, 'x')");
        await harness.ConfirmedAsync(tool);
        Assert.Equal(
            ["""a","new_tuple":{"id":"1","n":"x"}}}""", """b","new_tuple":{"id":"2"}}}""", """a","new_tuple":{"id":"2"}}}""", """b","new_tuple":{"id":"4"}}}""", """a","new_tuple":{"id":"3"}}}"""],
            tool.Lines().Where(line => !line.StartsWith("{\"Begin", StringComparison.Ordinal) && !line.StartsWith("{\"Commit", StringComparison.Ordinal) && !line.StartsWith("{\"Relation", StringComparison.Ordinal)).Select(line => line.Split("\"table\":\"")[1]));
    }

    [Fact]
    public async Task A_publication_that_was_dropped_and_made_again_is_named_with_what_to_do()
    {
        await using var harness = await CaptureHarness.CreateAsync("CREATE TABLE a (id int PRIMARY KEY, n text); CREATE PUBLICATION few FOR TABLE a");
        await harness.ExecuteAsync($"SELECT pg_create_logical_replication_slot('{harness.Slot}', 'pgoutput')");
        await harness.ExecuteAsync("DROP PUBLICATION few");
        await harness.ExecuteAsync("INSERT INTO a VALUES (1, 'x')");
        await harness.ExecuteAsync("CREATE PUBLICATION few FOR TABLE a");
        var tool = harness.Start("-c", harness.ConnectionString, "-s", harness.Slot, "-p", "few");
        Assert.Equal(1, await tool.ExitAsync());
        var advice = $"SELECT pg_replication_slot_advance('{harness.Slot}', pg_current_wal_lsn())";
        Assert.Contains("publication \"few\" does not exist (42704): not when changes that slot", tool.Log, StringComparison.Ordinal);
        Assert.Contains(advice, tool.Log, StringComparison.Ordinal);

        await Wait.UntilAsync(
            async () =>
            {
                await harness.ExecuteAsync(advice);
                return true;
            },
            "the slot is free");
        await harness.ExecuteAsync("INSERT INTO a VALUES (2, 'y')");
        tool = harness.Start("-c", harness.ConnectionString, "-s", harness.Slot, "-p", "few");
        await tool.HasLinesAsync(4);
        Assert.Contains("\"id\":\"2\"", tool.Lines()[2], StringComparison.Ordinal);
    }

    // What a typed value stands for, back as PostgreSQL reads it.
    private static string Literal(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => "NULL",
        JsonValueKind.String => Quote(value.GetString()!),
        JsonValueKind.Array => Quote(ArrayLiteral(value)),
        _ => Quote(value.GetRawText()),
    };

    private static string ArrayLiteral(JsonElement array) => "{" + string.Join(',', array.EnumerateArray().Select(element => element.ValueKind switch
    {
        JsonValueKind.Null => "NULL",
        JsonValueKind.Array => ArrayLiteral(element),
        JsonValueKind.String => $"\"{element.GetString()!.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\"",
        _ => element.GetRawText(),
    })) + "}";

    private static string Quote(string text) => $"'{text.Replace("'", "''", StringComparison.Ordinal)}'";
}
