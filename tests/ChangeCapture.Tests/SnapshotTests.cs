using System.Text.Json;
using Npgsql;

namespace RuleEngineNats.ChangeCapture.Tests;

[Trait("Category", "Servers")]
public sealed class SnapshotTests
{
    private const string Filled = "CREATE TABLE t (id int PRIMARY KEY, n int, pad text); INSERT INTO t SELECT g, g, repeat('x', 20) FROM generate_series(1, 1000) g";

    private static readonly string[] Initial = ["--snapshot", "initial", "--snapshot-chunk-rows", "7"];

    [Fact]
    public async Task Rows_that_were_there_before_come_once_between_a_beginning_and_an_end()
    {
        await using var harness = await CaptureHarness.CreateAsync(Filled);
        var tool = await harness.CaptureToNatsAsync("--snapshot", "initial", "--snapshot-chunk-rows", "300");
        await tool.SaysAsync("is complete: 1000 rows of 1 tables");
        await harness.ExecuteAsync("UPDATE t SET n = 0 WHERE id = 7");
        await harness.ConfirmedAsync(tool);
        var stored = await harness.ReadStreamAsync();
        Assert.Equal(
            ["transactions.snapshot.event", "public.t.relation", .. Enumerable.Repeat("public.t.read", 1000), "transactions.snapshot.event", .. Transaction("public.t.update")],
            stored.Select(message => message.Subject["postgres.".Length..]));
        Assert.Equal(Enumerable.Range(1, 1000).Select(id => $"id={id}, n={(id == 7 ? 0 : id)}, pad={new string('x', 20)}").Order(StringComparer.Ordinal), ReplayedTable.Of(stored, "public.t", "id").Rows);
        Assert.Equal(stored.Count, stored.Select(message => message.Id).Distinct().Count());
        Assert.Equal(tool.Lines(), stored.Select(message => message.Body));
    }

    [Fact]
    public async Task Keys_of_several_columns_quoted_names_and_collations_of_their_own_lose_no_row()
    {
        await using var harness = await CaptureHarness.CreateAsync(""""
            CREATE COLLATION folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false); CREATE TYPE mood AS ENUM ('z', 'a');
            CREATE TABLE "a.b c*>" ("Ä ""x""" text COLLATE "und-x-icu", b int, m mood, v text, PRIMARY KEY (m, "Ä ""x""", b));
            INSERT INTO "a.b c*>" SELECT x, b, m, 'v' FROM unnest(ARRAY['', 'a', 'B', 'ä', 'Z', 'ß', '''', '%', E'\\', E'\n', '日本', '😀']) x, generate_series(-2, 2) b, unnest(enum_range(NULL::mood)) m;
            CREATE TABLE u (k text COLLATE folded NOT NULL, other int, drop_me int); CREATE UNIQUE INDEX u_k ON u (k COLLATE "C" DESC); ALTER TABLE u REPLICA IDENTITY USING INDEX u_k; ALTER TABLE u DROP drop_me;
            INSERT INTO u SELECT k || g, g FROM unnest(ARRAY['a', 'A', 'b', 'B']) k, generate_series(1, 20) g;
            CREATE TABLE p (id int, at timestamptz, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
            CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (MINVALUE) TO ('2020-01-01'); CREATE TABLE p2 PARTITION OF p DEFAULT;
            INSERT INTO p SELECT g, '2019-12-31 23:59:00.5+00'::timestamptz + g * interval '1 second' FROM generate_series(1, 100) g;
            ALTER PUBLICATION pub SET (publish_via_partition_root = true)
            """");
        var tool = await harness.CaptureToNatsAsync(Initial);
        await tool.SaysAsync("is complete: 300 rows of 3 tables");
        await harness.ConfirmedAsync(tool);
        var stored = await harness.ReadStreamAsync();
        await AssertReadAsync(harness, stored, "public.a%2Eb%20c%2A%3E", "SELECT * FROM \"a.b c*>\"", "Ä \"x\"", "b", "m");
        await AssertReadAsync(harness, stored, "public.u", "SELECT * FROM u", "k");
        await AssertReadAsync(harness, stored, "public.p", "SET timezone = UTC; SELECT * FROM p", "id", "at");
        Assert.Contains(stored, message => message.Body.Contains("""
            "tables":["public.\"a.b c*>\"","public.p","public.u"]
            """, StringComparison.Ordinal));
    }

    [CitextFact]
    public async Task A_key_whose_type_comes_from_an_extension_is_compared_as_the_extension_does()
    {
        await using var harness = await CaptureHarness.CreateAsync("""
            CREATE SCHEMA "Odd one"; CREATE EXTENSION citext SCHEMA "Odd one";
            CREATE DOMAIN code AS "Odd one".citext; CREATE TABLE c (k code PRIMARY KEY);
            INSERT INTO c SELECT chr(CASE g % 2 WHEN 0 THEN 65 ELSE 97 END + g) FROM generate_series(0, 25) g
            """);
        var tool = await harness.CaptureToNatsAsync(Initial);
        await tool.SaysAsync("is complete: 26 rows of 1 tables");
        await harness.ConfirmedAsync(tool);
        await AssertReadAsync(harness, await harness.ReadStreamAsync(), "public.c", "SELECT * FROM c", "k");
    }

    [Fact]
    public async Task What_a_publication_and_the_filters_do_not_show_is_not_read()
    {
        await using var harness = await CaptureHarness.CreateAsync("""
            CREATE TABLE t (id int PRIMARY KEY, secret text, name text, mail text, area text, g int GENERATED ALWAYS AS (id + 1) STORED, dropped int); ALTER TABLE t DROP dropped;
            INSERT INTO t SELECT i, 's' || i, 'n' || i, 'm' || i, CASE i % 2 WHEN 0 THEN 'eu' ELSE 'us' END FROM generate_series(1, 60) i;
            DROP PUBLICATION pub; CREATE PUBLICATION pub FOR TABLE t (id, name, mail, area) WHERE (id <= 10); CREATE PUBLICATION further FOR TABLE t (id, name, mail, area) WHERE (id > 50)
            """);
        var tool = await harness.CaptureToNatsAsync([.. Initial, "-p", "further", "--mask-column", "public.t.mail", "--exclude-column", "public.t.area"]);
        await tool.SaysAsync("is complete: 20 rows of 1 tables");
        await harness.ExecuteAsync("UPDATE t SET name = 'changed' WHERE id IN (5, 20)");
        await harness.ConfirmedAsync(tool);
        var stored = await harness.ReadStreamAsync();
        var replayed = ReplayedTable.Of(stored, "public.t", "id");
        Assert.Equal(
            Enumerable.Range(1, 10).Concat(Enumerable.Range(51, 10)).Select(id => $"id={id}, name={(id == 5 ? "changed" : $"n{id}")}, mail=***").Order(StringComparer.Ordinal), replayed.Rows);
        Assert.Single(stored, message => message.Subject == "postgres.public.t.relation");
    }

    [Theory]
    [InlineData("id")]
    [InlineData("name")]
    public async Task A_key_that_is_not_to_be_seen_is_nowhere_in_the_stream(string hidden)
    {
        await using var harness = await CaptureHarness.CreateAsync(
            "CREATE TABLE t (id text, name text, n int, PRIMARY KEY (id, name)); INSERT INTO t SELECT 'hush' || g, 'hush' || g, g FROM generate_series(1, 50) g");
        var tool = await harness.CaptureToNatsAsync([.. Initial, "--hash-column", $"public.t.{hidden}", "--target", "nats"]);
        await tool.SaysAsync("is complete: 50 rows");
        await harness.ConfirmedAsync(tool);
        var consumer = await harness.JetStream.CreateOrderedConsumerAsync(CaptureHarness.Stream, new() { FilterSubjects = ["postgres.public.t.read"] });
        var seen = 0;
        await foreach (var message in consumer.ConsumeAsync<string>())
        {
            var place = JsonElement.Parse(message.Headers!["rule-cdc-snapshot"].ToString());
            Assert.False(place.TryGetProperty("key", out _));
            Assert.Equal(++seen, place.GetProperty("rows").GetInt32());
            if (seen == 50)
            {
                break;
            }
        }
    }

    [Fact]
    public async Task Every_value_looks_as_in_a_change()
    {
        await using var harness = await CaptureHarness.CreateAsync($"{ValueTests.Schema} {ValueTests.Filled}");
        await harness.ExecuteAsync("ALTER ROLE postgres SET datestyle = 'SQL, DMY'");
        var tool = await harness.CaptureToNatsAsync([.. Initial, "--values", "typed"]);
        await harness.ExecuteAsync("ALTER ROLE postgres RESET datestyle");
        await tool.SaysAsync("is complete: 5 rows");
        await harness.ExecuteAsync("BEGIN; CREATE TEMP TABLE copied ON COMMIT DROP AS SELECT * FROM types; ALTER TABLE copied DROP c_generated; DELETE FROM types; INSERT INTO types SELECT * FROM copied; COMMIT");
        await harness.ConfirmedAsync(tool);
        var stored = await harness.ReadStreamAsync();
        Assert.Equal(
            Rows(stored, "insert", "Insert"),
            Rows(stored, "read", "Read"));
        Assert.Equal(5, Rows(stored, "read", "Read").Count());
        Assert.Single(stored, message => message.Subject == "postgres.public.types.relation");
    }

    [Fact]
    public async Task Tables_whose_rows_cannot_be_told_apart_or_read_are_refused_by_name()
    {
        await using var harness = await CaptureHarness.CreateAsync("CREATE TABLE log (line text); CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE s (id int PRIMARY KEY); CREATE ROLE nobody_reads LOGIN REPLICATION");
        try
        {
            await harness.ExecuteAsync("ALTER TABLE s ENABLE ROW LEVEL SECURITY; GRANT SELECT ON s TO nobody_reads");
            var arguments = (string[])["-s", harness.Slot, "-p", "pub", "--create-slot", "--snapshot", "initial"];
            var tool = harness.Start(["-c", harness.ConnectionString, .. arguments]);
            Assert.Equal(1, await tool.ExitAsync());
            Assert.Contains("table public.log has nothing to tell its rows apart: add a primary key, or a unique index on columns that are NOT NULL and ALTER TABLE public.log REPLICA IDENTITY USING INDEX", tool.Log, StringComparison.Ordinal);
            tool = harness.Start(["-c", harness.ConnectionString.Replace("Username=postgres", "Username=nobody_reads", StringComparison.Ordinal), .. arguments, "--snapshot-table", "public.?", "--snapshot-table", "public.x*"]);
            Assert.Equal(1, await tool.ExitAsync());
            Assert.Contains("table public.t cannot be read: GRANT SELECT ON public.t TO \"nobody_reads\"", tool.Log, StringComparison.Ordinal);
            Assert.Contains("table public.s has rows that row-level security hides: ALTER ROLE \"nobody_reads\" BYPASSRLS", tool.Log, StringComparison.Ordinal);
            Assert.Contains("--snapshot-table: no published table is public.x*", tool.Log, StringComparison.Ordinal);
            Assert.Equal(0, await harness.ScalarAsync<long>($"SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{harness.Slot}'"));
        }
        finally
        {
            await harness.ExecuteAsync("DROP OWNED BY nobody_reads");
            await harness.ExecuteAsync("DROP ROLE nobody_reads");
        }
    }

    [Fact]
    public async Task A_database_without_an_encoding_is_refused()
    {
        await using var harness = await CaptureHarness.CreateAsync("SELECT 1");
        await harness.ExecuteAsync("CREATE DATABASE unencoded ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
        var unencoded = new NpgsqlConnectionStringBuilder(harness.ConnectionString) { Database = "unencoded", Pooling = false }.ConnectionString;
        try
        {
            await using (var connection = new NpgsqlConnection(unencoded))
            {
                await connection.OpenAsync();
                await using var command = new NpgsqlCommand("CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION pub FOR TABLE t", connection);
                await command.ExecuteNonQueryAsync();
            }

            var tool = harness.Start(["-c", unencoded, "-s", harness.Slot, "-p", "pub", "--create-slot", "--snapshot", "initial"]);
            Assert.Equal(1, await tool.ExitAsync());
            Assert.Contains("table public.t cannot be read: in a database whose encoding is SQL_ASCII its keys may not be texts", tool.Log, StringComparison.Ordinal);
        }
        finally
        {
            await harness.ExecuteAsync("DROP DATABASE unencoded WITH (FORCE)");
        }
    }

    private static IEnumerable<string> Transaction(string inside) => ["transactions.begin.event", inside, "transactions.commit.event"];

    private static IEnumerable<string> Rows(IEnumerable<StoredEvent> stored, string subject, string kind) => stored
        .Where(message => message.Subject == $"postgres.public.types.{subject}")
        .Select(message => JsonElement.Parse(message.Body).GetProperty(kind).GetProperty("new_tuple").GetRawText())
        .Order(StringComparer.Ordinal);

    private static async Task AssertReadAsync(CaptureHarness harness, IReadOnlyList<StoredEvent> stored, string table, string sql, params string[] key)
    {
        var replayed = ReplayedTable.Of(stored, table, key);
        Assert.Equal(await ReplayedTable.RowsAsync(harness, sql), replayed.Rows);
        Assert.Equal(replayed.Reads.Count, replayed.Reads.Distinct().Count());
    }

    // Outside of CI a server may be without the extensions that come with it.
    private sealed class CitextFactAttribute : FactAttribute
    {
        public CitextFactAttribute()
        {
            if (!TestKit.PostgresServer.Offers("citext") && Environment.GetEnvironmentVariable("CI") is null)
            {
                Skip = "PostgreSQL has no citext";
            }
        }
    }
}
