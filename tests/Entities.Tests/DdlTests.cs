using Npgsql;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.Entities.Tests;

/// <summary>The statements, run by a real PostgreSQL, and the comparison with what is there.</summary>
public sealed class DdlTests
{
    private static readonly EntityCatalog Tpch = TpchTests.Load(Repository.Path("examples", "entities", "tpch"));

    [Fact]
    public async Task The_statements_make_the_tables_and_change_nothing_the_second_time()
    {
        await using var database = await OpenAsync();
        await RunAsync(database, Tpch);
        var first = await DescribeAsync(database);
        await RunAsync(database, Tpch);

        Assert.Equal(first, await DescribeAsync(database));
        Assert.Contains("orders.total_price numeric(15,2) f", first, StringComparison.Ordinal);
        Assert.Contains("orders.ship_priority bigint t", first, StringComparison.Ordinal);
        Assert.Contains("orders.order_key character varying(40) f", first, StringComparison.Ordinal);
        Assert.Contains("order_line_items.ingested_at timestamp with time zone f", first, StringComparison.Ordinal);
        Assert.Contains("FOREIGN KEY (order_key) REFERENCES orders(order_key)", first, StringComparison.Ordinal);
        Assert.Contains("CREATE UNIQUE INDEX order_line_items_order_key_line_number_key ON", first, StringComparison.Ordinal);
        Assert.Contains("O is open, F fulfilled, P in part.", first, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_was_made_does_not_differ()
    {
        await using var database = await OpenAsync();
        await RunAsync(database, Tpch);

        var existing = await ExistingAsync(database, Tpch);
        Assert.Equal(Tpch.Tables.Sum(table => table.Columns.Count), existing.Count);
        Assert.Empty(CompareTables.Compare(Tpch, existing));
    }

    [Fact]
    public async Task Tables_of_others_that_rows_do_not_fit_into_are_named()
    {
        await using var database = await OpenAsync();
        await ExecuteAsync(database, """
            CREATE TABLE orders (id int PRIMARY KEY, order_key text NOT NULL, customer_key varchar NOT NULL, order_status varchar(5) NOT NULL, total_price numeric NOT NULL,
                                 order_date date NOT NULL, order_priority text NOT NULL, ship_priority bigint, comment text, region text NOT NULL,
                                 created timestamptz NOT NULL DEFAULT now(), ingested_at timestamptz NOT NULL);
            ALTER TABLE orders DROP COLUMN created;
            """);

        Assert.Equal(
            [
                "orders.id: is integer, not bigint (change the column, or the field of the entity)",
                "orders.order_status: is character varying(5), not character varying(10) (change the column, or the field of the entity)",
                "orders.order_priority: is NOT NULL, but the field is nullable (ALTER TABLE \"orders\" ALTER COLUMN \"order_priority\" DROP NOT NULL)",
                "orders.clerk: is missing (ALTER TABLE \"orders\" ADD COLUMN \"clerk\" character varying(40))",
                "orders.region: is NOT NULL without a default, and the entity has no such field (add the field, or drop NOT NULL)",
            ],
            CompareTables.Compare(Tpch, await ExistingAsync(database, Tpch)).Select(difference => difference.ToString()));
    }

    [Fact]
    public async Task Rows_without_a_value_in_their_unicity_are_the_same_row()
    {
        var catalog = Catalogs.Of("""
            entity:
              name: Note
              doc: Say "it's" a \ backslash
              fields: [{name: Order, type: String}, {name: facilityId, type: Integer, nullable: true}, {name: tags, type: Object, nullable: true}]
              persistence: {database: {conformant_table: user, conformant_id_column: Select, unicity_fields: [Order, facility_id]}}
            """);
        await using var database = await OpenAsync();
        await RunAsync(database, catalog);

        const string Insert = """INSERT INTO "user" ("order", "facility_id", ingested_at) VALUES ('a', NULL, now()) ON CONFLICT ("order", "facility_id") DO NOTHING""";
        Assert.Equal(1, await ExecuteAsync(database, Insert));
        Assert.Equal(0, await ExecuteAsync(database, Insert));
        await using var comment = database.CreateCommand("""SELECT obj_description('"user"'::regclass)""");
        Assert.Equal("""Say "it's" a \ backslash""", await comment.ExecuteScalarAsync());
    }

    private static async Task<NpgsqlDataSource> OpenAsync()
        => NpgsqlDataSource.Create(await (await PostgresServer.StartAsync()).CreateEmptyDatabaseAsync());

    private static async Task RunAsync(NpgsqlDataSource database, EntityCatalog catalog)
    {
        foreach (var statement in EntityDdl.Statements(catalog))
        {
            await ExecuteAsync(database, statement);
        }
    }

    private static async Task<int> ExecuteAsync(NpgsqlDataSource database, string sql)
    {
        await using var command = database.CreateCommand(sql);
        return await command.ExecuteNonQueryAsync();
    }

    private static async Task<List<ExistingColumn>> ExistingAsync(NpgsqlDataSource database, EntityCatalog catalog)
    {
        await using var command = database.CreateCommand(EntityDdl.ExistingColumns);
        command.Parameters.AddWithValue(catalog.Tables.Select(table => table.Name).ToArray());
        await using var rows = await command.ExecuteReaderAsync();
        var existing = new List<ExistingColumn>();
        while (await rows.ReadAsync())
        {
            existing.Add(new(rows.GetString(0), rows.GetString(1), rows.GetString(2), rows.GetBoolean(3), rows.GetBoolean(4)));
        }

        return existing;
    }

    private static async Task<string> DescribeAsync(NpgsqlDataSource database)
    {
        await using var command = database.CreateCommand("""
            SELECT string_agg(line, E'\n' ORDER BY line) FROM (
                SELECT format('%s.%s %s %s %s', attrelid::regclass, attname, format_type(atttypid, atttypmod), NOT attnotnull, col_description(attrelid, attnum))
                FROM pg_attribute WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r') AND attnum > 0
                UNION ALL SELECT format('%s %s', conname, pg_get_constraintdef(oid)) FROM pg_constraint WHERE connamespace = 'public'::regnamespace
                UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public') AS lines (line)
            """);
        return (string)(await command.ExecuteScalarAsync())!;
    }
}
