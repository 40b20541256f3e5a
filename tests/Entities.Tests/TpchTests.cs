using System.Text;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.Entities.Tests;

/// <summary>The example that ships: it loads, and orders become rows.</summary>
public sealed class TpchTests
{
    private static readonly Lazy<EntityCatalog> Tpch = new(() => Load(Repository.Path("examples", "entities", "tpch")));

    [Fact]
    public void The_example_has_orders_with_line_items_and_reference_tables_first()
    {
        Assert.Equal(["Order", "WebOrder"], Tpch.Value.Roots.Select(root => root.Name));
        Assert.Equal(["customers", "products", "orders", "order_line_items", "web_orders"], Tpch.Value.Tables.Select(table => table.Name));
        Assert.DoesNotContain(Tpch.Value.Find("Order")!.Table!.Columns, column => column.Name == "line_items");
        Assert.All(Tpch.Value.Tables, table => Assert.Equal("ingested_at", table.Columns[^1].Name));
        Assert.Equal(EntityValidation.Api, Tpch.Value.Find("L")!.Validation);
    }

    [Theory]
    [InlineData("Order")]
    [InlineData("O")]
    [InlineData(null)]
    public void An_order_becomes_a_row_and_one_for_each_line(string? hint)
    {
        var reading = new EntityReader(Tpch.Value).Read(Encoding.UTF8.GetBytes(Order), hint);

        Assert.Empty(reading.Violations);
        Assert.Equal("Order", reading.Entity!.Name);
        Assert.Equal(["orders", "order_line_items"], reading.Rows.Select(rows => rows.Table.Name));
        Assert.Equal(["O12345", "C1001", "F", "1234.56", "2025-01-15", "1-URGENT", null, "0", "Special \"handling\""], Catalogs.Texts(reading.Rows[0][0]));
        Assert.Equal(2, reading.Rows[1].Count);
        Assert.Equal(["O12345", "1", "P5001", "S501", "10", "450.00", "0.05", "0.08", "N", "O", "2025-01-20", "2025-01-18", null, null, null, null], Catalogs.Texts(reading.Rows[1][0]));
        Assert.Equal(["O12345", "2", "P5002", null, "5", "784.56", null, null, null, null, null, null, null, null, null, null], Catalogs.Texts(reading.Rows[1][1]));
    }

    internal const string Order = """
        {"order_key":"O12345","customer_key":"C1001","order_status":"F","total_price":1234.56,"order_date":"2025-01-15","order_priority":"1-URGENT","unknown":{"a":[1]},
         "ship_priority":0,"comment":"Special \"handling\"","line_items":[
          {"line_number":1,"part_key":"P5001","supplier_key":"S501","quantity":10,"extended_price":450.00,"discount":0.05,"tax":0.08,"return_flag":"N","line_status":"O",
           "ship_date":"2025-01-20","commit_date":"2025-01-18","receipt_date":null},
          {"quantity":5,"line_number":2,"extended_price":"784.56","part_key":"P5002"}]}
        """;

    internal static EntityCatalog Load(string folder)
    {
        var (catalog, problems) = EntityLoader.Load(folder);
        Assert.Empty(problems);
        return catalog!;
    }
}
