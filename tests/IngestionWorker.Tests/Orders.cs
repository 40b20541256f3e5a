using System.Globalization;
using System.Text;

namespace RuleEngineNats.IngestionWorker.Tests;

/// <summary>Documents of the TPC-H example.</summary>
internal static class Orders
{
    public static string Of(string key, int lines = 2, decimal price = 100, string? extra = null)
    {
        var items = new StringBuilder();
        for (var line = 1; line <= lines; line++)
        {
            items.Append(CultureInfo.InvariantCulture, $$"""
                {{(line > 1 ? "," : "")}}{"line_number":{{line}},"part_key":"P{{line}}","quantity":{{line * 2}},"extended_price":{{price / lines:0.00}},"discount":0.05,"ship_date":"2026-02-03"}
                """);
        }

        return string.Create(CultureInfo.InvariantCulture, $$"""
            {"order_key":"{{key}}","customer_key":"C1","order_status":"O","total_price":{{price:0.00}},"order_date":"2026-01-02","line_items":[{{items}}]{{extra}}}
            """);
    }

    public static IEnumerable<string> Many(int count, string prefix = "K", int lines = 2)
        => Enumerable.Range(0, count).Select(number => Of(string.Create(CultureInfo.InvariantCulture, $"{prefix}{number}"), lines, number % 1000));
}
