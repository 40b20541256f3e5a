using System.Globalization;
using System.Text;

namespace RuleEngineNats.TestKit;

/// <summary>What the rows of a set of orders add up to, prices in cents.</summary>
public readonly record struct OrderSums(long Orders, long Keys, long Prices, long Items, long Quantities, long ItemPrices)
{
    public OrderSums With(in OrderSums other) => new(
        Orders + other.Orders, Keys + other.Keys, Prices + other.Prices, Items + other.Items, Quantities + other.Quantities, ItemPrices + other.ItemPrices);
}

/// <summary>Orders with line items in the manner of TPC-H, one JSON document a line: the same for the same number on every machine.</summary>
public static class TpchOrders
{
    private static readonly string[] Priorities = ["1-URGENT", "2-HIGH", "3-MEDIUM", "4-NOT SPECIFIED", "5-LOW"];
    private static readonly string[] Instructions = ["DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN"];
    private static readonly string[] Modes = ["REG AIR", "AIR", "RAIL", "SHIP", "TRUCK", "MAIL", "FOB"];
    private static readonly DateOnly FirstDay = new(1992, 1, 1);

    /// <summary>Appends the document of one order, without a line end.</summary>
    /// <param name="text">Where it goes.</param>
    /// <param name="key">The order's number, from 1.</param>
    /// <param name="broken">Its price is no number: what no worker can store.</param>
    public static OrderSums Append(StringBuilder text, long key, bool broken = false)
    {
        // Not seeded by the clock: the sums have to be those of the file.
        var random = new Random((int)(key * 7919 % int.MaxValue));
        var items = 1 + random.Next(7);
        var day = FirstDay.AddDays(random.Next(2406));
        var lines = new StringBuilder();
        (long quantities, long prices) = (0, 0);
        for (var number = 1; number <= items; number++)
        {
            var (quantity, price) = (1 + random.Next(50), 90_000L + random.Next(9_500_000));
            quantities += quantity;
            prices += price;
            lines.Append(CultureInfo.InvariantCulture, $$"""
                {{(number == 1 ? "" : ",")}}{"line_number":{{number}},"part_key":"{{1 + random.Next(200_000)}}","supplier_key":"{{1 + random.Next(10_000)}}","quantity":{{quantity}},"extended_price":{{Money(price)}},"discount":0.0{{random.Next(10)}},"tax":0.0{{random.Next(9)}},"return_flag":"{{"RAN"[random.Next(3)]}}","line_status":"{{"OF"[random.Next(2)]}}","ship_date":"{{Day(day.AddDays(30))}}","commit_date":"{{Day(day.AddDays(60))}}","receipt_date":"{{Day(day.AddDays(45))}}","ship_instruct":"{{Instructions[random.Next(4)]}}","ship_mode":"{{Modes[random.Next(7)]}}","comment":"egular courts above the {{number}}"}
                """);
        }

        text.Append(CultureInfo.InvariantCulture, $$"""
            {"order_key":"{{key}}","customer_key":"{{1 + random.Next(150_000)}}","order_status":"{{"OFP"[random.Next(3)]}}","total_price":{{(broken ? "\"free\"" : Money(prices))}},"order_date":"{{Day(day)}}","order_priority":"{{Priorities[random.Next(5)]}}","clerk":"Clerk#{{random.Next(1000):D9}}","ship_priority":0,"comment":"nstructions sleep furiously among {{key}}","line_items":[{{lines}}]}
            """);
        return broken ? default : new(1, key, prices, items, quantities, prices);
    }

    /// <summary>Writes a file of orders and says what its good ones add up to.</summary>
    /// <param name="path">The file, one order a line.</param>
    /// <param name="count">Orders, numbered from 1.</param>
    /// <param name="brokenEvery">Every so many is broken; 0 for none.</param>
    public static OrderSums WriteFile(string path, long count, int brokenEvery = 0)
    {
        using var file = new StreamWriter(path, append: false, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), 1 << 16);
        var sums = default(OrderSums);
        var line = new StringBuilder();
        for (var key = 1L; key <= count; key++)
        {
            line.Clear();
            sums = sums.With(Append(line, key, brokenEvery > 0 && key % brokenEvery == 0));
            line.Append('\n');
            foreach (var chunk in line.GetChunks())
            {
                file.Write(chunk.Span);
            }
        }

        return sums;
    }

    private static string Money(long cents) => string.Create(CultureInfo.InvariantCulture, $"{cents / 100}.{cents % 100:D2}");

    private static string Day(DateOnly day) => day.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
}
