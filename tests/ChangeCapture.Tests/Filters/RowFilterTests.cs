using System.Globalization;
using System.Text.Json;

namespace RuleEngineNats.ChangeCapture.Tests.Filters;

[Trait("Category", "Servers")]
public sealed class RowFilterTests
{
    private const string Orders = """
        CREATE TABLE orders (id int PRIMARY KEY, total numeric, status text, doc jsonb, big text);
        ALTER TABLE orders ALTER big SET STORAGE EXTERNAL;
        CREATE TABLE other (id int PRIMARY KEY);
        CREATE TABLE "a=b" (id int PRIMARY KEY);
        """;

    [Fact]
    public async Task Rows_are_captured_that_the_filter_lets_pass_and_keep_their_places()
    {
        await using var harness = await CaptureHarness.CreateAsync(Orders);
        var tool = await harness.CaptureToNatsAsync("--row-filter", "public.orders=$.total > 100 && $.status == \"paid\"", "--row-filter", "public.o*ers=$.id < 1000", "--row-filter", "public.\"a=b\"=$.id == 2", "--mask-column", "public.orders.status");
        await harness.ExecuteAsync("INSERT INTO orders VALUES (1, 5, 'paid'), (2, 100.01, 'paid'), (3, 200, 'new'), (4, NULL, NULL), (5, 1e9, 'paid'), (1005, 500, 'paid'); INSERT INTO other VALUES (7); INSERT INTO \"a=b\" VALUES (1), (2)");
        await harness.ExecuteAsync("UPDATE orders SET total = 101 WHERE id = 1; UPDATE orders SET total = 99 WHERE id = 5");
        await harness.ExecuteAsync("ALTER TABLE orders REPLICA IDENTITY FULL; DELETE FROM orders WHERE id = 5; DELETE FROM orders WHERE id = 2; TRUNCATE orders");
        await harness.ConfirmedAsync(tool);
        var rows = (await harness.ReadStreamAsync()).Where(message => message.Subject.StartsWith("postgres.public.", StringComparison.Ordinal) && !message.Subject.EndsWith("relation", StringComparison.Ordinal)).ToArray();
        Assert.Equal(["orders.insert 2", "orders.insert 5", "other.insert 7", "a%3Db.insert 2", "orders.update 1", "orders.delete 2", "orders.truncate "], rows.Select(message => $"{message.Subject["postgres.public.".Length..]} {Id(message)}"));
        Assert.Equal(["2", "5", "7", "9"], rows.Take(4).Select(message => message.Id.Split(':')[^1]));
        Assert.DoesNotContain("paid", string.Concat(rows.Select(message => message.Body)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_row_that_cannot_be_judged_passes()
    {
        await using var harness = await CaptureHarness.CreateAsync(Orders);
        var tool = await harness.CaptureToNatsAsync("--row-filter", "public.orders=$ ? (@.big starts with \"x\") .doc.items[*] ? (@.n >= 2)");
        await harness.ExecuteAsync("""INSERT INTO orders VALUES (1, 0, '', '{"items": [{"n": 1}, {"n": 2.0}]}', repeat('x', 9000)), (2, 0, '', '{"items": [{"n": 1}]}', repeat('x', 9000)), (3, 0, '', '{"items": [{"n": 3}]}', 'y')""");
        await harness.ExecuteAsync("UPDATE orders SET total = 1 WHERE id = 2; UPDATE orders SET total = 1 WHERE id = 3; DELETE FROM orders");
        await harness.ConfirmedAsync(tool);
        Assert.Equal(
            ["insert 1", "update 2", "delete 1", "delete 2", "delete 3"],
            (await harness.ReadStreamAsync()).Where(message => message.Subject.StartsWith("postgres.public.orders.", StringComparison.Ordinal) && !message.Subject.EndsWith("relation", StringComparison.Ordinal))
                .Select(message => $"{message.Subject.Split('.')[^1]} {Id(message)}"));
    }

    [Theory]
    [InlineData("--row-filter: public.orders=$.total >: syntax error at end of jsonpath input", "public.orders=$.total >")]
    [InlineData("--row-filter: public.orders=$.total ~ 3: syntax error at or near \" \" of jsonpath input", "public.orders=$.total ~ 3")]
    [InlineData("--row-filter: public.orders=strict $.total > 3: strict ($.\"total\" > 3): not understood from character 1 on; take members", "public.orders=strict $.total > 3")]
    [InlineData("--row-filter: public.orders=$.status like_regex \"a\": like_regex is not supported", "public.orders=$.status like_regex \"a\"")]
    [InlineData("--row-filter: public.orders=1 == 1: it asks for no column", "public.orders=1 == 1")]
    [InlineData("--row-filter: public.orders=$.totl > 3 && exists($ ? (@.doc.x == 1 || @.nme == 2)): public.orders has no column totl; it has big, doc, id, status, total", "public.orders=$.totl > 3 && exists($ ? (@.doc.x == 1 || @.nme == 2))")]
    [InlineData("--row-filter: no published table is public.orderz; published: public.a=b, public.orders, public.other", "public.orderz=$.total > 3")]
    [InlineData("--row-filter: 'public.orders' is no filter: write schema.table, an equals sign and a SQL/JSON path", "public.orders")]
    [InlineData("--row-filter: 'orders' has 1 of the 2 parts of schema.table", "orders=$.total > 3")]
    public async Task What_is_wrong_with_a_filter_is_said_at_the_start(string problem, string filter)
    {
        await using var harness = await CaptureHarness.CreateAsync(Orders);
        var tool = harness.Start("-c", harness.ConnectionString, "-s", harness.Slot, "-p", "pub", "--create-slot", "--row-filter", filter);
        Assert.InRange(await tool.ExitAsync(), 1, 2);
        Assert.True(tool.Log.Contains(problem, StringComparison.Ordinal), tool.Log);
        Assert.False(await harness.ScalarAsync<bool>($"SELECT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '{harness.Slot}')"));
    }

    private static string Id(StoredEvent message)
    {
        var change = JsonElement.Parse(message.Body).EnumerateObject().Single().Value;
        return change.TryGetProperty("new_tuple", out var row) || change.TryGetProperty("old_tuple", out row)
            ? int.Parse(row.GetProperty("id").GetString()!, CultureInfo.InvariantCulture).ToString(CultureInfo.InvariantCulture)
            : "";
    }
}
