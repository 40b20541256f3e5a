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
        await database.ExecuteAsync("DELETE FROM schema_migrations WHERE version = '0004'");
        await using var migrator = Start(database.ConnectionString);
        await migrator.ExitedAsync();
        Assert.Equal((int)MigrationOutcome.Drift, migrator.ExitCode);
        Assert.Contains("0003_outbox.sql was applied with checksum 000", migrator.Output, StringComparison.Ordinal);
        Assert.False(await database.ScalarAsync<bool>("SELECT EXISTS (SELECT FROM schema_migrations WHERE version = '0004')"));
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
            foreach (var file in Directory.GetFiles(Repository.Path("sql", "migrations"), "*.sql").Order(StringComparer.Ordinal))
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

    private static ChildProcess Start(string? connectionString, params string[] arguments) => ChildProcess.Start(
        "dotnet", [Repository.Service("SchemaMigrator"), .. arguments], new Dictionary<string, string?> { ["ConnectionStrings__rules"] = connectionString });
}
