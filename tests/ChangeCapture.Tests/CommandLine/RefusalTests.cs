using RuleEngineNats.PgoutputStream;

namespace RuleEngineNats.ChangeCapture.Tests.CommandLine;

public sealed class RefusalTests
{
    private static readonly string[] Good = ["-c", "host=h user=u dbname=d", "-s", "slot", "-p", "pub"];

    [Theory]
    [InlineData("--slot: 'My-Slot' is no slot name: 1 to 63 of a-z, 0-9 and _", "-s", "My-Slot")]
    [InlineData("--slot: 'x'; drop table y; --' is no slot name", "-s", "x'; drop table y; --")]
    [InlineData("--slot: 'x\n' is no slot name", "-s", "x\n")]
    [InlineData("--publication: '' is no publication name", "-p", "")]
    [InlineData("--start-lsn: 'zz' is no WAL position: write two hexadecimal numbers, e.g. 0/16B2D50", "--start-lsn", "zz")]
    [InlineData("Unknown output format: xml. Valid options: json, json-pretty, text, debezium, cloudevents, protobuf", "-f", "xml")]
    [InlineData("Unknown target 'kafka'. Valid targets: stdout, nats, file", "-t", "stdout,kafka")]
    [InlineData("--nats-server is required when target includes 'nats'", "-t", "stdout,nats")]
    [InlineData("--file is required when target includes 'file'", "-t", "file")]
    [InlineData("--nats-server is given, but target does not include 'nats'", "-t", "stdout", "--nats-server", "nats://h")]
    [InlineData("--nats-server: 'http://h' is no server: write nats://host:port", "--nats-server", "http://h")]
    [InlineData("--nats-server: 'http://***@h' is no server", "--nats-server", "http://user:secret@h")]
    [InlineData("--nats-subject-prefix: 'a.*': subject: wildcard at byte 2", "--nats-subject-prefix", "a.*")]
    [InlineData("--nats-subject-prefix: '': subject: empty", "--nats-subject-prefix", "")]
    [InlineData("--nats-stream: 'a.b' is no stream name", "--nats-stream", "a.b")]
    [InlineData("--nats-creds: Could not find file '/nonexistent'", "--nats-creds", "/nonexistent")]
    [InlineData("--nats-creds: /etc/hostname has no NATS USER JWT and USER NKEY SEED", "--nats-creds", "/etc/hostname")]
    [InlineData("--nats-creds: The value cannot be an empty string", "--nats-creds", "")]
    [InlineData("--nats-tls-ca: ", "--nats-tls-ca", "")]
    [InlineData("--nats-password-file: The value cannot be an empty string", "--nats-password-file", "")]
    [InlineData("--nats-nkey: Could not find file '/nonexistent'", "--nats-nkey", "/nonexistent")]
    [InlineData("--nats-nkey: it is no user's seed: one has 58 characters and begins with SU", "--nats-nkey", "/etc/hostname")]
    [InlineData("--nats-token-file: Could not find file '/nonexistent'", "--nats-token-file", "/nonexistent")]
    [InlineData("--nats-user: 'me' has no password", "--nats-user", "me")]
    [InlineData("--nats-user: a password is given, and no user", "--nats-password-file", "/etc/hostname")]
    [InlineData("--nats-creds, --nats-nkey, --nats-token-file, --nats-user: more than one is given", "--nats-token-file", "/etc/hostname", "--nats-creds", "/etc/hostname")]
    [InlineData("--nats-tls-ca: /etc/hostname has no certificate in PEM form", "--nats-tls-ca", "/etc/hostname")]
    [InlineData("--nats-tls-cert: a certificate is given, and no key", "--nats-tls-cert", "/etc/hostname")]
    [InlineData("--nats-tls-cert: ", "--nats-tls-cert", "/etc/hostname", "--nats-tls-key", "/etc/hostname")]
    [InlineData("--nats-tls-key: a key is given, and no certificate", "--nats-tls-key", "/etc/hostname")]
    [InlineData("--nats-max-bytes: 0 is neither -1 (no limit) nor a number of bytes", "--nats-max-bytes", "0")]
    [InlineData("--nats-max-age: '7 days' is no age: write a number up to 36,500 and s, m, h or d, e.g. 7d", "--nats-max-age", "7 days")]
    [InlineData("--nats-replicas: 6 is not in 1 to 5", "--nats-replicas", "6")]
    [InlineData("--per: 'row' is none of change, transaction", "--per", "row")]
    [InlineData("--oversized: 'drop' is none of stop, dead-letter", "--oversized", "drop")]
    [InlineData("--oversized: without NatsServers (--nats-server) nothing has a limit", "--oversized", "dead-letter")]
    [InlineData("--dead-letter-file: give it with Oversized: DeadLetter (--oversized dead-letter)", "--dead-letter-file", "x")]
    [InlineData("--dead-letter-file: a path is missing", "--dead-letter-file", "")]
    [InlineData("--table: 'users' has 1 of the 2 parts of schema.table", "--table", "users")]
    [InlineData("--hash-column: 'public.users' has 2 of the 3 parts of schema.table.column", "--hash-column", "public.users")]
    [InlineData("--operation: 'upsert' is none of insert, update, delete, truncate", "--operation", "insert,upsert")]
    [InlineData("--values: 'xml' is none of text, typed", "--values", "xml")]
    [InlineData("--wal-policy: 'keep' is none of alert, pause, drop, spill", "--wal-policy", "keep")]
    [InlineData("--spill-directory: WalPolicy spill needs a folder on durable storage: name one", "--wal-policy", "spill")]
    [InlineData("--spill-directory: a path is missing", "--spill-directory", "")]
    [InlineData("--wal-spill-limit: 1048575 is less than 1,048,576 bytes", "--wal-spill-limit", "1048575")]
    [InlineData("--snapshot: 'once' is none of never, initial, always", "--snapshot", "once")]
    [InlineData("--snapshot-table: 'users' has 1 of the 2 parts of schema.table", "--snapshot-table", "users")]
    [InlineData("--snapshot-parallelism: 17 is not in 1 to 16", "--snapshot-parallelism", "17")]
    [InlineData("--snapshot-chunk-rows: 0 is not in 1 to 100,000", "--snapshot-chunk-rows", "0")]
    [InlineData("--max-in-flight: 0 is not in 1 to 60,000", "--max-in-flight", "0")]
    [InlineData("--shutdown-timeout: -1 is not in 0 to 20 s", "--shutdown-timeout", "-1")]
    [InlineData("--connection: 'foo' is not known", "-c", "host=h foo=bar")]
    [InlineData("--connection: a host is missing", "-c", "user=u dbname=d")]
    public void What_is_wrong_is_said_with_the_flag(string problem, params string[] arguments)
    {
        var flags = Good.Chunk(2).Where(pair => !arguments.Contains(pair[0])).SelectMany(pair => pair);
        Assert.Contains(problem, string.Join('\n', Problems([.. flags, .. arguments])), StringComparison.Ordinal);
    }

    [Fact]
    public void Everything_that_is_wrong_is_said_at_once()
        => Assert.Equal(3, Problems(["-c", "host=h dbname=d", "-s", "X", "-p", "pub", "--nats-stream", "a b", "--table", "x"]).Count);

    [Fact]
    public void What_is_right_is_not_refused() => Assert.Empty(Problems(Good));

    [Theory]
    [InlineData("Option '--slot' is required", "-c", "host=h")]
    [InlineData("'--nonsense'", "-c", "host=h", "-s", "s", "-p", "p", "--nonsense")]
    [InlineData("'many'", "-c", "host=h", "-s", "s", "-p", "p", "--max-in-flight", "many")]
    public async Task A_command_line_that_cannot_be_read_ends_with_2_and_nothing_on_standard_output(string problem, params string[] arguments)
    {
        var folder = Directory.CreateTempSubdirectory("capture-");
        await using var tool = new ToolProcess(Path.Combine(folder.FullName, "out"), arguments);
        Assert.Equal(2, await tool.ExitAsync());
        Assert.Contains(problem, tool.Log, StringComparison.Ordinal);
        Assert.Empty(tool.Lines());
        folder.Delete(recursive: true);
    }

    [Fact]
    [Trait("Category", "Servers")]
    public async Task What_does_not_exist_ends_with_1_and_what_to_do()
    {
        await using var harness = await CaptureHarness.CreateAsync("CREATE TABLE users (id int PRIMARY KEY, name text)");
        string[] good = ["-c", harness.ConnectionString, "-s", harness.Slot];
        await EndsAsync($"slot {harness.Slot} does not exist: create it with CreateSlot (--create-slot)", "-p", "pub");
        await EndsAsync("publication Missing\"' does not exist in database", "-p", "pub", "-p", "Missing\"'");
        await EndsAsync("--table: no published table is public.usres; published: public.users", "-p", "pub", "--table", "public.usres", "--create-slot");
        await EndsAsync("--hash-column: no column is public.users.nmae; public.users has id, name", "-p", "pub", "--hash-column", "public.users.nmae", "--create-slot");
        await EndsAsync("--file: /nonexistent/x cannot be written", "-p", "pub", "--file", "/nonexistent/x", "--create-slot");
        await EndsAsync(
            "--dead-letter-file: /nonexistent/x cannot be written", "-p", "pub", "--nats-server", "nats://127.0.0.1:1", "--oversized", "dead-letter", "--dead-letter-file", "/nonexistent/x", "--create-slot");
        await EndsAsync("--spool-directory: /nonexistent cannot be written", "-p", "pub", "--spool-directory", "/nonexistent", "--create-slot");
        await EndsAsync("--spill-directory: /nonexistent cannot be written", "-p", "pub", "--wal-policy", "spill", "--spill-directory", "/nonexistent", "--create-slot");
        Assert.False(await harness.ScalarAsync<bool>($"SELECT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '{harness.Slot}')"));
        await harness.ExecuteAsync($"SELECT pg_create_logical_replication_slot('{harness.Slot}', 'pgoutput')");
        await EndsAsync(". Give one from there on, or leave it out to begin there", "-p", "pub", "--start-lsn", "0/1");
        await EndsAsync("--start-lsn: FFFFFF/0 lies after the end of the WAL: everything up to there would be skipped. Give one that is written already", "-p", "pub", "--start-lsn", "FFFFFF/0");

        async Task EndsAsync(string problem, params string[] arguments) => await EndsWithAsync(harness, problem, [.. good, .. arguments]);
    }

    [Fact]
    [Trait("Category", "Servers")]
    public async Task A_slot_that_is_not_this_databases_own_of_pgoutput_ends_with_1_and_what_to_do()
    {
        await using var harness = await CaptureHarness.CreateAsync("CREATE TABLE users (id int PRIMARY KEY)");
        string[] good = ["-c", harness.ConnectionString, "-p", "pub", "-s"];
        var (plugin, physical) = ($"{harness.Slot}_plugin", $"{harness.Slot}_physical");
        await harness.ExecuteAsync($"SELECT pg_create_logical_replication_slot('{plugin}', 'test_decoding'), pg_create_physical_replication_slot('{physical}')");
        await EndsWithAsync(harness, $"slot {plugin} is not one of pgoutput's (test_decoding): name another", [.. good, plugin]);
        await EndsWithAsync(harness, $"slot {physical} is not one of pgoutput's (physical): name another", [.. good, physical]);
        await harness.ExecuteAsync($"SELECT pg_drop_replication_slot('{plugin}'), pg_drop_replication_slot('{physical}')");

        await using var other = await CaptureHarness.CreateAsync("CREATE TABLE users (id int PRIMARY KEY)");
        await other.ExecuteAsync($"SELECT pg_create_logical_replication_slot('{other.Slot}', 'pgoutput')");
        var (own, its) = (await harness.ScalarAsync<string>("SELECT current_database()::text"), await other.ScalarAsync<string>("SELECT current_database()::text"));
        await EndsWithAsync(harness, $"slot {other.Slot} belongs to database {its}, not to {own}: name another, or connect to {its}", [.. good, other.Slot]);
    }

    private static async Task EndsWithAsync(CaptureHarness harness, string problem, string[] arguments)
    {
        var tool = harness.Start(arguments);
        Assert.Equal(1, await tool.ExitAsync());
        Assert.Contains(problem, tool.Log, StringComparison.Ordinal);
        Assert.Empty(tool.Lines());
    }

    private static IReadOnlyList<string> Problems(string[] arguments)
    {
        var flags = new CaptureFlags();
        var command = new System.CommandLine.RootCommand();
        foreach (var option in flags.All)
        {
            command.Options.Add(option);
        }

        var (options, problems) = flags.Read(command.Parse(arguments));
        return problems.Count > 0 ? problems : [.. CaptureOptionsRules.Problems(options).Select(CaptureFlags.InFlags)];
    }
}
