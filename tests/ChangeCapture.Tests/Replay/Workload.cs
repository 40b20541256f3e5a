using System.Globalization;
using Npgsql;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.ChangeCapture.Tests.Replay;

/// <summary>
/// What is done to the first database: writers that each have tables of their own, pgbench, and one large transaction. Rounds are let through one by
/// one, so that the whole is the same whatever is killed meanwhile.
/// </summary>
internal sealed class Workload(CaptureHarness harness)
{
    private const int StepsPerRound = 25;

    private readonly SemaphoreSlim _rounds = new(0);

    /// <summary>What both databases have before anything is captured. The tables of pgbench come besides.</summary>
    public static string Schema { get; } = TypeColumns.Types + TypeColumns.Table("types") + TypeColumns.Table("types_full") + """
        ALTER TABLE types_full REPLICA IDENTITY FULL;
        CREATE TABLE toasted (id int PRIMARY KEY, big text, large text, small text); ALTER TABLE toasted ALTER big SET STORAGE EXTERNAL;
        CREATE TABLE toasted_full (LIKE toasted INCLUDING ALL); ALTER TABLE toasted_full REPLICA IDENTITY FULL;
        CREATE SCHEMA "a.b c*>";
        CREATE TABLE "a.b c*>"."T""'\ é." ("k ""1" text NOT NULL, "k'2" char(4) NOT NULL, "c.*>" text, UNIQUE ("k ""1", "k'2"));
        ALTER TABLE "a.b c*>"."T""'\ é." REPLICA IDENTITY USING INDEX "T""'\ é._k ""1_k'2_key";
        CREATE TABLE unidentified (id int PRIMARY KEY, a text); ALTER TABLE unidentified REPLICA IDENTITY NOTHING;
        CREATE TABLE parts (id int, k int, a text, PRIMARY KEY (id, k)) PARTITION BY RANGE (k);
        CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10); CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
        CREATE TABLE rooted (id int, k int, a text, PRIMARY KEY (id, k)) PARTITION BY RANGE (k);
        CREATE TABLE rooted_1 (a text, k int NOT NULL, id int NOT NULL, PRIMARY KEY (id, k)); ALTER TABLE rooted ATTACH PARTITION rooted_1 FOR VALUES FROM (0) TO (10);
        CREATE TABLE rooted_2 PARTITION OF rooted FOR VALUES FROM (10) TO (20);
        CREATE TABLE columnless (); CREATE UNLOGGED TABLE unlogged (id int);
        CREATE TABLE identified (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a text);
        CREATE TABLE parents (id int PRIMARY KEY); CREATE TABLE children (id int PRIMARY KEY, parent int REFERENCES parents ON DELETE CASCADE ON UPDATE CASCADE);
        CREATE TABLE streamed (id int PRIMARY KEY, a text); CREATE TABLE prepared (id int PRIMARY KEY, a text); CREATE TABLE large (id int PRIMARY KEY, a text);
        """;

    // Each is what one writer does in its n-th step: one or more scripts, and each of them is a transaction where it does not say otherwise.
    private static readonly Func<int, Random, string[]>[] Writers =
    [
        (n, random) => [TypeColumns.Insert("types", n, random) + TypeColumns.Update("types", random.Next(n + 1), random), n % 5 == 4 ? $"DELETE FROM types WHERE id = {n - 2}" : "SELECT 1"],
        (n, random) => [TypeColumns.Insert("types_full", n, random) + TypeColumns.Update("types_full", random.Next(n + 1), random), n % 5 == 4 ? $"DELETE FROM types_full WHERE id < {n - 5}" : "SELECT 1"],
        (n, _) => Toast("toasted", n),
        (n, _) => Toast("toasted_full", n),
        (n, _) => Quoted("""
            "a.b c*>"."T""'\ é."
            """, n),
        (n, _) => [$"INSERT INTO unidentified VALUES ({n}, 'a')"],
        (n, _) => Parts("parts", n),
        (n, _) => Parts("rooted", n),
        (n, _) => Evolving(n),
        (n, _) => Prepared(n),
        (n, _) => Streamed(n),
        (n, _) => Others(n),
    ];

    /// <summary>Lets every writer, and pgbench, do one round more.</summary>
    public void AllowRound() => _rounds.Release(Writers.Length + 1);

    /// <summary>All writers, until so many rounds are done.</summary>
    public Task RunAsync(int rounds, CancellationToken cancellationToken)
        => Task.WhenAll([.. Enumerable.Range(0, Writers.Length).Select(writer => WriteAsync(writer, rounds, cancellationToken)), BenchAsync(rounds, cancellationToken)]);

    /// <summary>One large transaction, with parts of it rolled back; it commits when it is told to.</summary>
    public async Task WriteLargeAsync(int rows, Task commit, CancellationToken cancellationToken)
    {
        await using var connection = await harness.Database.OpenConnectionAsync(cancellationToken);
        var tenth = rows / 10;
        await ExecuteAsync("BEGIN");
        for (var part = 0; part < 10; part++)
        {
            await ExecuteAsync($"INSERT INTO large SELECT g, repeat('x', g % 50) FROM generate_series({part * tenth}, {((part + 1) * tenth) - 1}) g");
            await ExecuteAsync($"SAVEPOINT a; UPDATE large SET a = 'gone' WHERE id % 100 = {part}; INSERT INTO large SELECT -g, 'gone' FROM generate_series(1, 1000) g; SAVEPOINT b; DELETE FROM large WHERE id < 100; ROLLBACK TO a");
        }

        await ExecuteAsync("UPDATE large SET a = 'updated' WHERE id % 100 = 7; DELETE FROM large WHERE id % 100 = 8; UPDATE large SET id = -id WHERE id % 1000 = 9");
        await commit;
        await ExecuteAsync("COMMIT");

        async Task ExecuteAsync(string sql)
        {
            await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 600 };
            await command.ExecuteNonQueryAsync(cancellationToken);
        }
    }

    /// <summary>pgbench's own tables with their rows, in a database.</summary>
    public static Task InitialiseBenchAsync(string connectionString) => RunBenchAsync(connectionString, "-i", "-s", "1", "-q");

    private async Task BenchAsync(int rounds, CancellationToken cancellationToken)
    {
        for (var round = 0; round < rounds; round++)
        {
            await _rounds.WaitAsync(cancellationToken);
            await RunBenchAsync(harness.ConnectionString, "-n", "-c", "2", "-t", "100");
        }
    }

    private static async Task RunBenchAsync(string connectionString, params string[] arguments)
    {
        var database = new NpgsqlConnectionStringBuilder(connectionString);
        await using var bench = ChildProcess.Start(
            PostgresServer.Binary("pgbench"), [.. arguments, "-h", database.Host!, "-p", database.Port.ToString(CultureInfo.InvariantCulture), "-U", database.Username!, database.Database!]);
        await bench.ExitedAsync(TimeSpan.FromMinutes(10));
        Assert.True(bench.ExitCode == 0, bench.Output);
    }

    private async Task WriteAsync(int writer, int rounds, CancellationToken cancellationToken)
    {
        var random = new Random(writer);
        for (var step = 0; step < rounds * StepsPerRound; step++)
        {
            if (step % StepsPerRound == 0)
            {
                await _rounds.WaitAsync(cancellationToken);
            }

            foreach (var script in Writers[writer](step, random))
            {
                try
                {
                    await harness.ExecuteAsync(script);
                }
                catch (PostgresException exception)
                {
                    throw new InvalidOperationException($"{script}: {exception.Message}", exception);
                }
            }
        }
    }

    // The statement, and before it a message with it in the same transaction: who replays runs it at the same place.
    private static string Ddl(string sql) => $"SELECT pg_logical_emit_message(true, '{Replayer.DdlPrefix}', {Sql.Literal(sql)}); {sql};";

    // 9 kB that do not compress, and 90 kB that do.
    private static string[] Toast(string table, int n) =>
    [
        $"INSERT INTO {table} SELECT {n}, string_agg(md5(g::text || {n}), ''), repeat('y', 90000), 'a' FROM generate_series(1, 288) g",
        $"UPDATE {table} SET small = 'b' WHERE id = {n}; UPDATE {table} SET large = large || 'z' WHERE id = {n}",
        $"UPDATE {table} SET id = -id WHERE id = {n}; UPDATE {table} SET big = NULL, small = NULL WHERE id = {-n + 1}",
        n % 6 == 5 ? $"DELETE FROM {table} WHERE id > {4 - n}" : "SELECT 1",
    ];

    private static string[] Quoted(string table, int n) =>
    [
        $"INSERT INTO {table} VALUES ('{n}', 'a', E'line\\nquote\" é😀'), ('{n}', 'b ', NULL), ('''{n}', '', '')",
        $"UPDATE {table} SET \"c.*>\" = '{n}' WHERE \"k \"\"1\" = '{n}'; UPDATE {table} SET \"k'2\" = 'c' WHERE \"k'2\" = 'a'; DELETE FROM {table} WHERE \"k \"\"1\" LIKE '''%'",
        n % 10 == 6 ? $"TRUNCATE {table}" : "SELECT 1",
    ];

    private static string[] Parts(string table, int n) =>
    [
        $"INSERT INTO {table} VALUES ({n}, {n % 20}, 'a'), ({n}, {(n + 10) % 20}, 'b')",
        n % 2 == 0 ? $"UPDATE {table} SET a = 'c' WHERE id = {n}" : $"DELETE FROM {table} WHERE id = {n} AND a = 'b'; UPDATE {table} SET k = (k + 10) % 20 WHERE id = {n}",
        .. (n % 12) switch
        {
            5 => (string[])[
                $"{Ddl($"ALTER TABLE {table} DETACH PARTITION {table}_2")} INSERT INTO {table}_2 (id, k, a) VALUES ({-n}, 11, 'alone'); UPDATE {table}_2 SET a = 'still' WHERE id = {-n}",
                $"{Ddl($"ALTER TABLE {table} ATTACH PARTITION {table}_2 FOR VALUES FROM (10) TO (20)")} INSERT INTO {table} VALUES ({-n}, 12, 'together')"],
            9 => [$"{Ddl($"CREATE TABLE {table}_3 PARTITION OF {table} FOR VALUES FROM (20) TO (30)")} INSERT INTO {table} VALUES ({n}, 25, 'third'); {Ddl($"DROP TABLE {table}_3")}"],
            10 => [$"TRUNCATE {table}"],
            _ => [],
        },
    ];

    // A table through its life, and again under the same name.
    private static string[] Evolving(int n)
    {
        const string Table = "evolving";
        var insert = $"INSERT INTO {Table} (id) VALUES ({n}), ({-n - 1});";
        return (n % 8) switch
        {
            0 => [$"{Ddl($"CREATE TABLE {Table} (id int PRIMARY KEY, a int, b text)")} {insert}"],
            1 => [$"{insert} {Ddl($"ALTER TABLE {Table} ADD c numeric DEFAULT 1.50")} UPDATE {Table} SET a = {n}; {insert.Replace("(id)", "(a, id)", StringComparison.Ordinal).Replace($"({n})", $"({n}, {n + 100000})", StringComparison.Ordinal).Replace($"({-n - 1})", $"(1, {-n - 100001})", StringComparison.Ordinal)}"],
            2 => [Ddl($"ALTER TABLE {Table} RENAME COLUMN b TO \"b b\""), insert, $"UPDATE {Table} SET \"b b\" = id::text"],
            3 => [$"{Ddl($"ALTER TABLE {Table} ALTER a TYPE text USING a::text || 'x'")} {insert} UPDATE {Table} SET a = a || 'y'"],
            4 => [$"UPDATE {Table} SET a = 'z' WHERE id < 0; {Ddl($"ALTER TABLE {Table} DROP COLUMN \"b b\"")} {insert} DELETE FROM {Table} WHERE id < -100000", Ddl($"ALTER TYPE mood ADD VALUE IF NOT EXISTS 'mood {n}'")],
            5 => [$"{Ddl($"ALTER TABLE {Table} RENAME TO \"evolved.2\"")} INSERT INTO \"evolved.2\" (id) VALUES ({n}); UPDATE \"evolved.2\" SET a = 'moved' WHERE id > 0; {Ddl($"ALTER TABLE \"evolved.2\" RENAME TO {Table}")} INSERT INTO {Table} (id) VALUES ({-n - 200000})"],
            6 => [$"{Ddl($"ALTER TABLE {Table} REPLICA IDENTITY FULL")} UPDATE {Table} SET a = 'full'; DELETE FROM {Table} WHERE id < 0; {insert}"],
            _ => [$"BEGIN; {insert} SAVEPOINT s; {Ddl($"ALTER TABLE {Table} ADD gone int DEFAULT 3")} UPDATE {Table} SET gone = 4; ROLLBACK TO s; UPDATE {Table} SET a = 'last'; {Ddl($"DROP TABLE {Table}")} {Ddl($"CREATE TABLE {Table} (other text, id int PRIMARY KEY)")} {insert} {Ddl($"DROP TABLE {Table}")} COMMIT"],
        };
    }

    private static string[] Prepared(int n) =>
    [
        $"BEGIN; INSERT INTO prepared SELECT {n * 1000} + g, repeat('p', 50) FROM generate_series(1, {(n % 3 == 0 ? 900 : 2)}) g; UPDATE prepared SET a = 'u' WHERE id = {((n - 1) * 1000) + 1}; PREPARE TRANSACTION 'replay_{n}'",
        $"INSERT INTO prepared VALUES ({-n - 1}, 'between')",
        $"{(n % 2 == 0 ? "COMMIT" : "ROLLBACK")} PREPARED 'replay_{n}'",
    ];

    // More than the server keeps in memory here, so that it is sent before it ends.
    private static string[] Streamed(int n)
    {
        var rows = (int part) => $"INSERT INTO streamed SELECT {n * 10000} + {part * 1000} + g, repeat('s', 100) FROM generate_series(1, 500) g;";
        return
        [
            $"BEGIN; {rows(0)} SAVEPOINT a; {rows(1)} SAVEPOINT b; {rows(2)} RELEASE b; UPDATE streamed SET a = 'gone' WHERE id % 10 = 1; ROLLBACK TO a; {rows(3)} SAVEPOINT c; {rows(4)} ROLLBACK TO c; DELETE FROM streamed WHERE id % 100 > 20; SELECT pg_logical_emit_message(true, 'inside', '{n}'); {(n % 4 == 3 ? "ROLLBACK" : "COMMIT")}",
        ];
    }

    private static string[] Others(int n) =>
    [
        "INSERT INTO columnless DEFAULT VALUES; INSERT INTO unlogged VALUES (1)",
        $"INSERT INTO identified (a) VALUES ('{n}'); UPDATE identified SET a = a || '.' WHERE id % 3 = 0; DELETE FROM identified WHERE id % 7 = 6",
        $"INSERT INTO parents VALUES ({n}), ({-n - 1}); INSERT INTO children VALUES ({n}, {n}), ({-n - 1}, {-n - 1}); UPDATE parents SET id = {n + 1000000} WHERE id = {n}; DELETE FROM parents WHERE id = {-n - 1}",
        (n % 9) switch
        {
            3 => "TRUNCATE parents CASCADE",
            6 => "TRUNCATE children, parents RESTART IDENTITY",
            _ => $"BEGIN; SELECT pg_logical_emit_message(false, 'outside', '{n}'); INSERT INTO parents VALUES (-1000000); ROLLBACK",
        },
        "CREATE TEMP TABLE IF NOT EXISTS passing (id int); INSERT INTO passing VALUES (1)",
    ];
}
