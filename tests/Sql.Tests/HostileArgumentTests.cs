using Npgsql;

namespace RuleEngineNats.Sql.Tests;

/// <summary>
/// Hostile values in every text and jsonb argument of every function that applications and operators may call: each is taken, and then kept as it is, or
/// refused with 22023 or 54000 and a message that names the argument.
/// </summary>
[Trait("Category", "Servers")]
public sealed class HostileArgumentTests
{
    private static readonly Lazy<Task<SqlDatabase>> Database = new(() => SqlDatabase.WithWebhookAsync("both"));

    private static readonly Dictionary<string, string> Values = new()
    {
        ["apostrophe"] = "it's",
        ["injection"] = "x','y'); drop table victim; --",
        ["a megabyte"] = new('m', 1 << 20),
        ["1e131071"] = "1e131071",
    };

    // What the other arguments are, by their names; those not named here have defaults.
    private static readonly Dictionary<string, string> Good = new()
    {
        ["webhook_id"] = "1",
        ["call_id"] = "1",
        ["publish_id"] = "1",
        ["payload"] = "'{}'::jsonb",
        ["name"] = "'other'",
        ["url"] = "'https://example.com/'",
        ["secret_name"] = "'token'",
        ["secret_value"] = "'value'",
        ["stream_name"] = "'OTHER'",
        ["subjects"] = "ARRAY['other.>']",
        ["message_id"] = "'id'",
        ["identifier"] = "'orders'",
        ["reason"] = "'gone'",
        ["subject"] = "'webhooks.orders'",
        ["filter"] = "'webhooks.>'",
        ["table"] = "'schema_migrations'::regclass",
    };

    // Looked up and not found, or as RFC-0005 has it: the constraint of the method is its own error.
    private static readonly Dictionary<string, string> OtherRefusals = new() { ["config_name"] = "P0002", ["stream"] = "P0002", ["capture_name"] = "P0002", ["method"] = "23514" };

    // Named by the word that the error of all edges uses, or together with its other half.
    private static readonly Dictionary<string, string> Words = new()
    {
        ["nats_subject"] = "subject",
        ["subject_prefix"] = "subject",
        ["secret_name"] = "secret needs a name",
        ["secret_value"] = "and a value",
    };

    private static async Task<IEnumerable<(string Function, string Argument, string Type, string[] Required)>> ArgumentsAsync(SqlDatabase database)
    {
        var found = new List<(string, string, string, string[])>();
        await using var command = database.Source.CreateCommand("""
            SELECT p.proname, p.proargnames[t.n], t.type::regtype::text, (p.proargnames[1:p.pronargs - p.pronargdefaults])
              FROM pg_proc p, unnest(p.proargtypes) WITH ORDINALITY t(type, n)
             WHERE p.pronamespace = 'public'::regnamespace AND p.prorettype <> 'trigger'::regtype AND t.type IN ('text'::regtype, 'jsonb'::regtype)
               AND (has_function_privilege('rule_publisher', p.oid, 'EXECUTE') OR has_function_privilege('rule_admin', p.oid, 'EXECUTE'))
               AND p.proname NOT IN ('rule_nats_accept_event', 'rule_nats_service_report') -- called by others of these, and by services
             ORDER BY 1, t.n
            """);
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            found.Add((reader.GetString(0), reader.GetString(1), reader.GetString(2), reader.GetFieldValue<string[]>(3)));
        }

        return found;
    }

    [Fact]
    public async Task Each_is_taken_or_refused_with_a_message_that_names_the_argument()
    {
        var database = await Database.Value;
        var arguments = (await ArgumentsAsync(database)).ToList();
        var (taken, refused, wrong) = (0, 0, new List<string>());
        await using var connection = await database.Source.OpenConnectionAsync();
        foreach (var (function, argument, type, required) in arguments)
        {
            foreach (var (kind, value) in Values)
            {
                var others = required.Where(name => name != argument).Select(name => $"{name} => {Good[Short(name)]}");
                var hostile = type == "text" ? "$1" : kind == "1e131071" ? "$1::jsonb" : "to_jsonb($1::text)";
                var sql = $"SELECT {function}({string.Join(", ", others.Append($"{argument} => {hostile}"))})";
                await using var transaction = await connection.BeginTransactionAsync();
                try
                {
                    await database.ExecuteAsync(connection, sql, value);
                    taken++;
                }
                catch (PostgresException e)
                {
                    refused++;
                    var name = Words.GetValueOrDefault(Short(argument), Short(argument));
                    var named = e.MessageText.Contains(name, StringComparison.OrdinalIgnoreCase)
                        || e.MessageText.Contains(name.Replace('_', ' '), StringComparison.OrdinalIgnoreCase);
                    if (!(named && e.SqlState is "22023" or "54000") && OtherRefusals.GetValueOrDefault(Short(argument)) != e.SqlState)
                    {
                        wrong.Add($"{function}({argument}) {kind}: {e.SqlState} {e.MessageText[..Math.Min(e.MessageText.Length, 120)]}");
                    }
                }
            }
        }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
        Assert.True(arguments.Count >= 50 && taken > 60 && refused > 60, $"{arguments.Count} arguments, {taken} taken, {refused} refused");
    }

    [Fact]
    public async Task I37_injections_in_every_text_argument_change_nothing()
    {
        await using var database = await SqlDatabase.WithWebhookAsync("both");
        await database.ExecuteAsync("CREATE TABLE victim AS SELECT 1 AS untouched");
        var arguments = (await ArgumentsAsync(database)).Where(argument => argument.Type == "text").ToArray();
        string[] openings = ["'", "''", "\"", "')", "'))", "\")", "\\'", "$$", "$x$", "*/", "\n", "", "%27", "E'\\''"];
        string[] attacks =
        [
            "; DROP TABLE victim; --", "; UPDATE victim SET untouched = 2; --", "; ALTER ROLE rule_stats SUPERUSER; --", "; CREATE TABLE planted(); --",
            "; GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC; --", " || (SELECT pg_sleep(30)) || '", " OR pg_sleep(30) IS NULL --", " UNION SELECT pg_sleep(30) --",
            "); DELETE FROM rule_webhooks; --", "; COPY victim TO PROGRAM 'id'; --", "; DO 'BEGIN DROP TABLE victim; END'; --", "; SET ROLE postgres; DROP TABLE victim; --",
            "; CREATE OR REPLACE FUNCTION rule_nats_msg_id(integer, text) RETURNS text LANGUAGE sql AS 'SELECT 1::text'; --", "%s%I%L%1$s", "{0}\u0001;DROP TABLE victim",
        ];
        var corpus = openings.SelectMany(opening => attacks.Select(attack => opening + attack)).ToArray();
        var before = await SchemaAsync();

        await Parallel.ForEachAsync(arguments, new ParallelOptions { MaxDegreeOfParallelism = 4 }, async (argument, cancellationToken) =>
        {
            await using var connection = await database.Source.OpenConnectionAsync(cancellationToken);
            await database.ExecuteAsync(connection, "SET statement_timeout = '10s'");
            var others = argument.Required.Where(name => name != argument.Argument).Select(name => $"{name} => {Good[Short(name)]}");
            var sql = $"SELECT {argument.Function}({string.Join(", ", others.Append($"{argument.Argument} => $1"))})";
            foreach (var injection in corpus)
            {
                try
                {
                    await database.ExecuteAsync(connection, sql, injection);
                }
                catch (PostgresException e) when (e.SqlState is not (PostgresErrorCodes.QueryCanceled or PostgresErrorCodes.SyntaxError or PostgresErrorCodes.InternalError))
                {
                    // Refused: that its message names the argument is the other test's.
                }
            }
        });

        Assert.True(corpus.Length >= 200 && arguments.Length >= 40, $"{corpus.Length} injections in {arguments.Length} arguments");
        Assert.Equal(before, await SchemaAsync());
        Assert.Equal(1, await database.ScalarAsync<int>("SELECT untouched FROM victim"));
        Assert.True(await database.ScalarAsync<bool>("SELECT NOT rolsuper FROM pg_roles WHERE rolname = 'rule_stats'"));

        async Task<string> SchemaAsync()
        {
            var server = new NpgsqlConnectionStringBuilder(database.ConnectionString);
            await using var dump = ChildProcess.Start(
                PostgresServer.Binary("pg_dump"), ["--schema-only", "-d", $"postgresql://{server.Username}@{server.Host}:{server.Port}/{server.Database}"]);
            await dump.ExitedAsync();
            Assert.Equal(0, dump.ExitCode);
            // Newer versions fence their output with a word that is new each time.
            return string.Join('\n', dump.Output.Split('\n').Where(line => !line.Contains("restrict", StringComparison.Ordinal)));
        }
    }

    [Theory]
    [InlineData("SELECT rule_webhook_register($1, 'https://example.com/', p_description => $1); SELECT webhook_name || description FROM rule_webhooks ORDER BY 1 DESC", 2)]
    [InlineData("SELECT rule_webhook_secret_set(1, 'token', $1); SELECT rule_webhook_secret_get(1, 'token')", 1)]
    [InlineData("SELECT rule_webhook_enqueue(1, to_jsonb($1), $1); SELECT (payload #>> '{}') || rule_name FROM rule_webhook_calls ORDER BY call_id DESC LIMIT 1", 2)]
    [InlineData("SELECT rule_webhook_publish_nats(1, to_jsonb($1), triggered_by => $1); SELECT (payload #>> '{}') || triggered_by FROM rule_nats_publish_history ORDER BY publish_id DESC LIMIT 1", 2)]
    public async Task What_is_taken_is_kept_as_it_is(string sql, int times)
    {
        var database = await Database.Value;
        var statements = sql.Split("; ", 2);
        foreach (var value in new[] { Values["apostrophe"], Values["injection"], "\\ \" % $$ ü 😀 \u202e" })
        {
            await using var connection = await database.Source.OpenConnectionAsync();
            await using var transaction = await connection.BeginTransactionAsync();
            await database.ExecuteAsync(connection, statements[0].Replace("$1", "$1::text", StringComparison.Ordinal), value);
            var kept = await database.ScalarAsync<string>(connection, statements[1].Replace("ORDER BY 1 DESC", "ORDER BY webhook_id DESC", StringComparison.Ordinal));
            Assert.Equal(string.Concat(Enumerable.Repeat(value, times)), kept);
        }
    }

    [Fact]
    public async Task A_character_NUL_is_refused_by_the_server_before_any_function_sees_it()
    {
        var database = await Database.Value;
        Assert.Equal("22021", (await database.RefusedAsync("SELECT rule_webhook_enqueue(1, '{}', $1)", "a\0b")).SqlState);
        Assert.Equal("22P05", (await database.RefusedAsync("""SELECT rule_webhook_enqueue(1, '"a\u0000b"')""")).SqlState);
    }

    private static string Short(string argument) => argument.StartsWith("p_", StringComparison.Ordinal) ? argument[2..] : argument;
}
