using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using RuleEngineNats.SchemaMigrator;

namespace RuleEngineNats.Sql.Tests;

[Trait("Category", "Servers")]
public sealed class MigrationTests
{
    [Fact]
    public async Task Two_migrators_at_once_apply_each_migration_once()
    {
        var server = await PostgresServer.StartAsync();
        var database = await server.CreateEmptyDatabaseAsync();
        await using var one = Start(database);
        await using var other = Start(database);
        await one.ExitedAsync();
        await other.ExitedAsync();

        Assert.True(one.ExitCode == 0 && other.ExitCode == 0, one.Output + other.Output);
        var applied = (one.Output + other.Output).Split('\n').Where(line => line.Contains("Applied ", StringComparison.Ordinal)).ToList();
        Assert.Equal(Migration.Embedded().Count, applied.Count);
        await using var source = NpgsqlDataSource.Create(database);
        await using var command = source.CreateCommand("SELECT count(*) FROM schema_migrations WHERE checksum IS NOT NULL");
        Assert.Equal((long)Migration.Embedded().Count, await command.ExecuteScalarAsync());
    }

    [Fact]
    public async Task Applying_everything_again_changes_nothing_even_in_a_used_database()
    {
        await using var database = await SqlDatabase.WithWebhookAsync("both");
        await database.ExecuteAsync("SELECT rule_webhook_call_unified(1, '{}')");
        await database.ExecuteAsync("SELECT setval('rule_nats_publish_history_publish_id_seq', 6000000)");
        await using var verify = Start(database.ConnectionString, "--verify");
        await verify.ExitedAsync();
        Assert.True(verify.ExitCode == 0, verify.Output);
    }

    [Fact]
    public async Task Verify_reports_what_a_second_run_would_change()
    {
        await using var database = await SqlDatabase.CreateAsync();
        await database.ExecuteAsync("ALTER TABLE rule_webhooks DROP COLUMN subject_filter");
        await using var verify = Start(database.ConnectionString, "--verify");
        await verify.ExitedAsync();
        Assert.Equal((int)MigrationOutcome.NotRepeatable, verify.ExitCode);
        Assert.Contains("column rule_webhooks.subject_filter", verify.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_migration_that_changed_after_it_was_applied_is_reported_and_nothing_is_applied()
    {
        await using var database = await SqlDatabase.CreateAsync();
        await database.ExecuteAsync("UPDATE schema_migrations SET checksum = repeat('0', 64) WHERE version = '0003'");
        await database.ExecuteAsync("DELETE FROM schema_migrations WHERE version = 'functions/10_validation'");
        await using var migrator = Start(database.ConnectionString);
        await migrator.ExitedAsync();
        Assert.Equal((int)MigrationOutcome.Drift, migrator.ExitCode);
        Assert.Contains("0003_outbox.sql was applied with checksum 000", migrator.Output, StringComparison.Ordinal);
        Assert.False(await database.ScalarAsync<bool>("SELECT EXISTS (SELECT FROM schema_migrations WHERE version = 'functions/10_validation')"));
    }

    [Fact]
    public async Task It_waits_for_a_database_that_is_created_later()
    {
        var server = await PostgresServer.StartAsync();
        var name = $"later_{Guid.NewGuid():N}";
        await using var migrator = Start(server.ConnectionString(name));
        await using var source = NpgsqlDataSource.Create(server.ConnectionString("postgres"));
        // Its first attempt is seen by the server, and refused, before the database exists.
        await Wait.UntilAsync(() => server.Output.Contains(name, StringComparison.Ordinal), "the migrator asks for the database");
        await using (var create = source.CreateCommand($"CREATE DATABASE {name}"))
        {
            await create.ExecuteNonQueryAsync();
        }

        await migrator.ExitedAsync();
        Assert.True(migrator.ExitCode == 0, migrator.Output);
    }

    [Fact]
    public async Task Without_a_connection_string_it_says_which_one_is_missing()
    {
        await using var migrator = Start(null);
        await migrator.ExitedAsync();
        Assert.Equal((int)MigrationOutcome.Unavailable, migrator.ExitCode);
        Assert.Contains("ConnectionStrings__rules", migrator.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_refused_statement_names_file_and_line_and_rolls_its_migration_back()
    {
        await using var database = await SqlDatabase.CreateAsync();
        await using var connection = await database.Source.OpenConnectionAsync();
        var migration = Migration.From("9999_broken.sql", "CREATE TABLE half_done (id int);\n-- a comment; with a semicolon\n\nSELECT 1,\n       no_such_column;\n");
        var migrate = new MigrateDatabase(new ConfigurationBuilder().Build(), TimeProvider.System, NullLogger<MigrateDatabase>.Instance);

        var failure = await Assert.ThrowsAsync<MigrationFailedException>(() => migrate.ApplyAsync(connection, [migration], CancellationToken.None));

        Assert.Equal(("9999_broken.sql", 5), (failure.File, failure.Line));
        Assert.Contains("no_such_column", failure.Message, StringComparison.Ordinal);
        Assert.False(await database.ScalarAsync<bool>("SELECT to_regclass('half_done') IS NOT NULL"));
    }

    [Fact]
    public async Task Plain_psql_applies_the_files_too_twice()
    {
        var server = await PostgresServer.StartAsync();
        var database = await server.CreateEmptyDatabaseAsync();
        for (var run = 0; run < 2; run++)
        {
            string[] files = [.. Files("migrations"), .. Files("functions")];
            foreach (var file in files)
            {
                var (exitCode, output) = await Psql.RunAsync(database, "-1", "-f", file);
                Assert.True(exitCode == 0, output);
            }
        }

        await using var migrator = Start(database);
        await migrator.ExitedAsync();
        Assert.True(migrator.ExitCode == 0, migrator.Output);
    }

    [Fact]
    public void Statements_are_split_outside_of_quotes_and_comments()
    {
        var statements = SqlStatement.Split("""
            -- one; not a statement
            SELECT 'a;''b', "c;d", E'\';';
            /* nested /* ; */ ; */
            DO $body$ BEGIN PERFORM ';'; END $body$ ;
            SELECT $1;;
            SELECT 2
            """).ToList();
        Assert.Equal(["SELECT 'a;''b', \"c;d\", E'\\';'", "DO $body$ BEGIN PERFORM ';'; END $body$ ", "SELECT $1", "SELECT 2"], statements.Select(s => s.Text));
        Assert.Equal([2, 4, 5, 6], statements.Select(s => s.Line));
    }

    [Fact]
    public async Task A_changed_definition_is_applied_again_with_all_that_may_build_on_it()
    {
        await using var database = await SqlDatabase.CreateAsync();
        await database.ExecuteAsync("UPDATE schema_migrations SET checksum = repeat('0', 64) WHERE version = 'functions/10_validation'");
        await database.ExecuteAsync("CREATE OR REPLACE FUNCTION rule_nats_redact_url(p_url text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 'of before' $$");
        await using var migrator = Start(database.ConnectionString);
        await migrator.ExitedAsync();

        Assert.True(migrator.ExitCode == 0, migrator.Output);
        Assert.Equal(Files("functions").Count(), migrator.Output.Split('\n').Count(line => line.Contains("Applied functions/", StringComparison.Ordinal)));
        Assert.Equal("nats://***@h", await database.ScalarAsync<string>("SELECT rule_nats_redact_url('nats://a:b@h')"));
    }

    [Fact]
    public async Task An_upgrade_derives_the_routes_of_the_webhooks_that_are_there()
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        await database.ExecuteAsync("DELETE FROM rule_nats_routes; UPDATE schema_migrations SET checksum = repeat('0', 64) WHERE version = 'functions/50_publishing'");
        await using var migrator = Start(database.ConnectionString);
        await migrator.ExitedAsync();

        Assert.True(migrator.ExitCode == 0, migrator.Output);
        Assert.Equal("webhooks.orders", await database.ScalarAsync<string>("SELECT rule_webhook_publish_nats(1, '{}') ->> 'subject'"));
    }

    [Fact]
    public async Task An_upgrade_under_load_loses_nothing_and_fails_nobody()
    {
        await using var database = await SqlDatabase.WithWebhookAsync("both");
        using var upgraded = new CancellationTokenSource();
        var writers = Enumerable.Range(0, 8).Select(_ => PublishUntilAsync(database, upgraded.Token)).ToList();
        // Partitions are locked one by one, in another order than by the writers: the kind of migration that meets them.
        var next = Migration.From("migrations/9999_next.sql", """
            ALTER TABLE rule_nats_publish_history ADD COLUMN note text;
            ALTER TABLE rule_webhook_calls ADD COLUMN note text;
            ALTER TABLE rule_webhooks ADD COLUMN note text DEFAULT 'new';
            """);
        await using var connection = await database.Source.OpenConnectionAsync();
        await Wait.UntilAsync(async () => await database.ScalarAsync<long>("SELECT count(*) FROM rule_nats_publish_history") > 100, "the load runs");
        var migrate = new MigrateDatabase(new ConfigurationBuilder().Build(), TimeProvider.System, NullLogger<MigrateDatabase>.Instance);
        var outcome = await migrate.ApplyAsync(connection, [.. Migration.Embedded(), next], CancellationToken.None);
        var during = await database.ScalarAsync<long>("SELECT count(*) FROM rule_nats_publish_history");
        await Wait.UntilAsync(
            async () => writers.Exists(writer => writer.IsFaulted) || await database.ScalarAsync<long>("SELECT count(*) FROM rule_nats_publish_history") > during + 100,
            "the load goes on");
        await upgraded.CancelAsync();
        var published = (await Task.WhenAll(writers)).Sum();

        Assert.Equal(MigrationOutcome.UpToDate, outcome);
        Assert.Equal("new", await database.ScalarAsync<string>("SELECT note FROM rule_webhooks WHERE webhook_id = 1"));
        Assert.Equal(published, await database.ScalarAsync<long>("SELECT count(*) FROM rule_nats_publish_history"));
        Assert.Equal(published, await database.ScalarAsync<long>("SELECT count(*) FROM rule_webhook_calls"));
    }

    private static async Task<long> PublishUntilAsync(SqlDatabase database, CancellationToken stop)
    {
        await using var connection = await database.Source.OpenConnectionAsync(CancellationToken.None);
        var published = 0L;
        while (!stop.IsCancellationRequested)
        {
            await database.ExecuteAsync(connection, "SELECT rule_webhook_call_unified(1, '{}')");
            published++;
        }

        return published;
    }

    private static IEnumerable<string> Files(string folder)
        => Directory.GetFiles(Repository.Path("sql", folder), "*.sql").Order(StringComparer.Ordinal);

    private static ChildProcess Start(string? connectionString, params string[] arguments) => ChildProcess.Start(
        "dotnet", [Repository.Service("SchemaMigrator"), .. arguments], new Dictionary<string, string?> { ["ConnectionStrings__rules"] = connectionString });
}
