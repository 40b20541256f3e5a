namespace RuleEngineNats.Sql.Tests;

[Trait("Category", "Servers")]
public sealed class GeneratedDocumentTests
{
    [Fact]
    public async Task Every_function_table_view_and_column_says_what_it_means()
    {
        await using var database = await SqlDatabase.CreateAsync();
        var undocumented = await SqlReference.UndocumentedAsync(database);
        Assert.True(undocumented.Length == 0, $"no COMMENT ON:\n{string.Join('\n', undocumented)}");
    }

    [Fact]
    public async Task The_sql_reference_is_what_the_database_says()
    {
        await using var database = await SqlDatabase.CreateAsync();
        GeneratedDocument.MustBeCurrent("sql-reference.md", await SqlReference.ReadAsync(database));
    }

    [Fact]
    public async Task The_roles_may_do_what_the_checked_in_matrix_says_and_no_more()
    {
        await using var database = await SqlDatabase.CreateAsync();
        GeneratedDocument.MustBeCurrent("sql-roles.md", await RoleMatrix.ReadAsync(database));
    }

    [Fact]
    public async Task A_grant_that_the_matrix_does_not_have_is_seen()
    {
        await using var database = await SqlDatabase.CreateAsync();
        var before = await RoleMatrix.ReadAsync(database);
        await database.ExecuteAsync("GRANT SELECT (auth_token) ON rule_nats_config TO rule_stats");
        await database.ExecuteAsync("GRANT EXECUTE ON FUNCTION rule_webhook_secret_get TO PUBLIC");
        var after = await RoleMatrix.ReadAsync(database);
        Assert.Contains("| `rule_nats_config` | `rule_stats` | SELECT | auth_token |", after.Except(before));
        Assert.Contains(
            "| function `rule_webhook_secret_get(integer,text)` | EXECUTE | EXECUTE | EXECUTE | EXECUTE | EXECUTE | EXECUTE | EXECUTE |", after.Except(before));
    }
}
