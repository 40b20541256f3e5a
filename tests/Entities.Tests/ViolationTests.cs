using System.Text;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.Entities.Tests;

/// <summary>Every violation, with its code, its place, its words, its limit and its fix.</summary>
public sealed class ViolationTests
{
    private static readonly EntityCatalog Tpch = TpchTests.Load(Repository.Path("examples", "entities", "tpch"));

    [Theory]
    // What a type does not take.
    [InlineData("{name: a, type: string}", "5", "wrong_type", "a is a number, not a string", null, "send a string")]
    [InlineData("{name: a, type: integer}", "\"5\"", "wrong_type", "a is a string, not an integer", null, "send an integer")]
    [InlineData("{name: a, type: integer}", "5.0", "not_an_integer", "a is not an integer", null, "send an integer")]
    [InlineData("{name: a, type: integer}", "1e2", "not_an_integer", "a is not an integer", null, "send an integer")]
    [InlineData("{name: a, type: integer}", "9223372036854775808", "out_of_range", "a is out of range", "-9223372036854775808 to 9223372036854775807", "send an integer")]
    [InlineData("{name: a, type: float}", "true", "wrong_type", "a is a truth value, not a number", null, "send a number")]
    [InlineData("{name: a, type: float}", "-1.8e308", "out_of_range", "a is out of range", "-1.7976931348623157E+308 to 1.7976931348623157E+308", "send a number")]
    [InlineData("{name: a, type: decimal}", "[]", "wrong_type", "a is a list, not a decimal number of at most 28 digits", null, "send a decimal number of at most 28 digits")]
    [InlineData("{name: a, type: decimal}", "\"12,5\"", "not_a_decimal", "a is not a decimal number", null, "send a decimal number of at most 28 digits")]
    [InlineData("{name: a, type: decimal}", "\"1 \"", "not_a_decimal", "a is not a decimal number", null, "send a decimal number of at most 28 digits")]
    [InlineData("{name: a, type: decimal}", "0.12345678901234567890123456789", "too_precise", "a has more than 28 digits", "28", "send a decimal number of at most 28 digits")]
    [InlineData("{name: a, type: decimal}", "1e-40", "too_precise", "a has more than 28 digits", "28", "send a decimal number of at most 28 digits")]
    [InlineData("{name: a, type: decimal}", "1e29", "out_of_range", "a is out of range", "-79228162514264337593543950335 to 79228162514264337593543950335", "send a decimal number of at most 28 digits")]
    [InlineData("{name: a, type: boolean}", "0", "wrong_type", "a is a number, not true or false", null, "send true or false")]
    [InlineData("{name: a, type: date}", "\"2025-02-29\"", "not_a_date", "a is not a date", null, "send a date such as 2025-01-15")]
    [InlineData("{name: a, type: date}", "\"2025-01-15T00:00:00Z\"", "not_a_date", "a is not a date", null, "send a date such as 2025-01-15")]
    [InlineData("{name: a, type: date}", "\"\"", "not_a_date", "a is not a date", null, "send a date such as 2025-01-15")]
    [InlineData("{name: a, type: date}", "20250115", "wrong_type", "a is a number, not a date such as 2025-01-15", null, "send a date such as 2025-01-15")]
    [InlineData("{name: a, type: timestamp}", "\"2025-01-15T10:30:00\"", "not_a_timestamp", "a is not a timestamp", null, "send a timestamp such as 2025-01-15T10:30:00Z")]
    [InlineData("{name: a, type: timestamp}", "\"2025-01-15 10:30:00Z\"", "not_a_timestamp", "a is not a timestamp", null, "send a timestamp such as 2025-01-15T10:30:00Z")]
    [InlineData("{name: a, type: timestamp}", "\"2025-01-15T24:00:00Z\"", "not_a_timestamp", "a is not a timestamp", null, "send a timestamp such as 2025-01-15T10:30:00Z")]
    [InlineData("{name: a, type: timestamp}", "\"2025-01-15T10:30:60Z\"", "not_a_timestamp", "a is not a timestamp", null, "send a timestamp such as 2025-01-15T10:30:00Z")]
    [InlineData("{name: a, type: timestamp}", "\"2025-01-15T10:30:00.Z\"", "not_a_timestamp", "a is not a timestamp", null, "send a timestamp such as 2025-01-15T10:30:00Z")]
    [InlineData("{name: a, type: timestamp}", "\"2025-01-15T10:30:00+0100\"", "not_a_timestamp", "a is not a timestamp", null, "send a timestamp such as 2025-01-15T10:30:00Z")]
    [InlineData("{name: a, type: timestamp}", "\"0001-01-01T00:00:00+01:00\"", "out_of_range", "a is out of range", "0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999999Z", "send a timestamp such as 2025-01-15T10:30:00Z")]
    [InlineData("{name: a, type: json}", "[1]", "wrong_type", "a is a list, not an object", null, "send an object")]
    [InlineData("{name: a, type: \"List[String]\"}", "[\"x\",1]", "wrong_type", "a is a list of something else, not a list of strings", null, "send a list of strings")]
    [InlineData("{name: a, type: \"List[Object]\"}", "[{},[]]", "wrong_type", "a is a list of something else, not a list of objects", null, "send a list of objects")]
    // What a constraint does not take.
    [InlineData("{name: a, type: string, constraints: {maxLength: 3}}", "\"äöüß\"", "too_long", "a is longer than 3 characters", "3", "send at most 3 characters")]
    [InlineData("{name: a, type: string, constraints: {minLength: 2}}", "\"😀\"", "too_short", "a is shorter than 2 characters", "2", "send at least 2 characters")]
    [InlineData("{name: a, type: string, constraints: {enum: [x, y]}}", "\"X\"", "not_allowed", "a is none of the values allowed", "x, y", "send one of x, y")]
    [InlineData("{name: a, type: string, constraints: {pattern: \"^[A-Z]+$\"}}", "\"Ab\"", "pattern", "a does not match the pattern", "^[A-Z]+$", "send what matches ^[A-Z]+$")]
    [InlineData("{name: a, type: integer, constraints: {minimum: 5}}", "4", "too_small", "a is less than 5", "5", "send at least 5")]
    [InlineData("{name: a, type: integer, constraints: {maximum: -5}}", "-4", "too_large", "a is more than -5", "-5", "send at most -5")]
    [InlineData("{name: a, type: float, constraints: {minimum: 0.1}}", "0.0999", "too_small", "a is less than 0.1", "0.1", "send at least 0.1")]
    [InlineData("{name: a, type: float, constraints: {maximum: 0.1}}", "0.11", "too_large", "a is more than 0.1", "0.1", "send at most 0.1")]
    [InlineData("{name: a, type: decimal, constraints: {maximum: 0.1}}", "0.10000000000000000001", "too_large", "a is more than 0.1", "0.1", "send at most 0.1")]
    [InlineData("{name: a, type: decimal, constraints: {precision: 5, scale: 2}}", "1.234", "too_precise", "a has more than 2 decimal places", "2", "round it to 2 decimal places")]
    [InlineData("{name: a, type: decimal, constraints: {precision: 5, scale: 2}}", "1000", "out_of_range", "a has more than 3 digits before the point", "3", "send at most 3 digits before the point")]
    public void A_value_that_its_field_does_not_take_is_a_violation(string field, string value, string code, string message, string? limit, string fix)
    {
        var reading = Catalogs.OfFields(field).Read($"{{\"a\":{value}}}", "A");

        Assert.Equal([new Violation(code, "a", message, limit, fix)], reading.Violations);
        Assert.Empty(reading.Rows);
        Assert.Equal("A", reading.Entity!.Name);
    }

    [Fact]
    public void All_violations_are_listed_with_their_places()
    {
        var reading = Tpch.Read("""
            {"order_key":"O1","customer_key":null,"order_status":7,"order_date":"2025-13-01","total_price":1e9,
             "line_items":[{"line_number":1,"part_key":"P","quantity":1,"extended_price":1},{"line_number":"2","part_key":"P","extended_price":1,"tax":0.12345},{}]}
            """, "Order");

        Assert.Equal(
            [
                "required customer_key: customer_key is null",
                "wrong_type order_status: order_status is a number, not a string",
                "not_a_date order_date: order_date is not a date",
                "wrong_type line_items[1].line_number: line_items[1].line_number is a string, not an integer",
                "required line_items[1].quantity: line_items[1].quantity is missing",
                "too_precise line_items[1].tax: line_items[1].tax has more than 4 decimal places",
                "required line_items[2].line_number: line_items[2].line_number is missing",
                "required line_items[2].part_key: line_items[2].part_key is missing",
                "required line_items[2].quantity: line_items[2].quantity is missing",
                "required line_items[2].extended_price: line_items[2].extended_price is missing",
            ],
            reading.Violations.Select(violation => $"{violation.Code} {violation.Field}: {violation.Message}"));
    }

    [Theory]
    [InlineData("", "invalid_json", "payload: empty at byte 0")]
    [InlineData("{} x", "invalid_json", "payload: not a single JSON value at byte 3")]
    [InlineData("{\"a\":\"\\u0000\"}", "invalid_json", "payload: NUL character at byte 6")]
    [InlineData("{\"a\":\"\\ud800\"}", "invalid_json", "payload: lone surrogate at byte 6")]
    [InlineData("{\"a\":1,\"a\":2}", "invalid_json", "payload: name given twice in one object at byte 7")]
    [InlineData("[]", "not_an_object", "the document is a list, not an object")]
    [InlineData("null", "not_an_object", "the document is null, not an object")]
    public void What_is_no_document_is_refused_as_a_whole(string json, string code, string message)
    {
        var violation = Assert.Single(Tpch.Read(json, "Order").Violations);
        Assert.Equal((code, "$", message), (violation.Code, violation.Field, violation.Message));
    }

    [Theory]
    [InlineData("Nope", "there is no entity of the name that was given")]
    [InlineData("order", "there is no entity of the name that was given")]
    [InlineData("Customer", "Customer is a reference entity, which is not ingested")]
    [InlineData("L", "OrderLineItem is a derived entity, which is not ingested")]
    public void A_hint_must_name_a_root_entity(string hint, string message)
        => Assert.Equal([new Violation("unknown_entity", "$", message, null, "name one of Order, WebOrder, or none")], Tpch.Read(TpchTests.Order, hint).Violations);

    [Fact]
    public void Without_a_hint_the_first_root_wins_whose_required_fields_have_the_right_json_type()
    {
        var catalog = Catalogs.Of("""
            entity: {name: A, fields: [{name: x, type: String, args: [2]}, {name: o, type: Integer, nullable: true}], persistence: {database: {conformant_table: a}}}
            ---
            entity: {name: B, fields: [{name: x, type: Integer}, {name: y, type: Boolean}], persistence: {database: {conformant_table: b}}}
            """);

        Assert.Equal(["b: 1 | true"], catalog.Read("""{"x":1,"y":true}""").Lines());
        // It is an A although it breaks one of its rules.
        Assert.Equal(["too_long", "wrong_type"], catalog.Read("""{"x":"long","o":"n"}""").Violations.Select(violation => violation.Code));
        Assert.Equal(
            [new Violation("no_entity", "$", "Could not parse as any known entity type: A: x is a number; B: y is missing", null, "name one of A, B, or none")],
            catalog.Read("""{"x":1}""").Violations);
        Assert.Equal("Could not parse as any known entity type: there is none", Assert.Single(EntityCatalog.Empty.Read("{}").Violations).Message);
    }

    [Fact]
    public void A_text_in_an_index_is_limited_to_what_the_index_takes()
    {
        var catalog = Catalogs.Of("""
            entity: {name: A, fields: [{name: x, type: String}, {name: y, type: String}], persistence: {database: {conformant_table: a, unicity_fields: [x, y]}}}
            """);

        Assert.Empty(catalog.Read($$"""{"x":"{{new string('a', 1300)}}","y":""}""").Violations);
        Assert.Equal(
            [new Violation("too_long", "x", "x is longer than 1300 bytes, which an index takes at most", "1300", "send at most 1300 bytes")],
            catalog.Read($$"""{"x":"{{new string('a', 1301)}}","y":""}""").Violations);
    }

    [Fact]
    public void A_list_item_that_is_no_object_and_too_many_rows_are_violations()
    {
        var catalog = Catalogs.Of("""
            entity: {name: A, fields: [{name: x, type: "List[String]"}], persistence: {database: {conformant_table: a}}}
            ---
            entity: {name: B, source_type: derived, repeated_for: {entity: A, field: x}, fields: [{name: y, type: String, nullable: true}], persistence: {database: {conformant_table: b}}}
            """);
        Assert.Equal([new Violation("not_an_object", "x[0]", "is a string, not an object", null, "send an object")], catalog.Read("""{"x":["a"]}""").Violations);

        var items = string.Join(',', Enumerable.Repeat("{}", 10_000));
        var lines = Catalogs.Of("""
            entity: {name: A, fields: [{name: x, type: "List[Object]"}], persistence: {database: {conformant_table: a}}}
            ---
            entity: {name: B, source_type: derived, repeated_for: {entity: A, field: x}, fields: [{name: y, type: String, nullable: true}], persistence: {database: {conformant_table: b}}}
            """);
        Assert.Equal(9_999, lines.Read($"{{\"x\":[{items[3..]}]}}").Rows[1].Count);
        Assert.Equal(
            [new Violation("too_many_rows", "x[9999]", "the document makes more than 10000 rows", "10000", "send it in several documents")],
            lines.Read($"{{\"x\":[{items}]}}").Violations);
    }

    [Fact]
    public void A_long_list_of_violations_ends_with_a_word_about_the_rest()
    {
        var reading = Tpch.Read($$"""{"order_key":"O","customer_key":"C","order_status":"F","total_price":1,"order_date":"2025-01-01","line_items":[{{string.Join(',', Enumerable.Repeat("{}", 5000))}}]}""");

        Assert.Equal(101, reading.Violations.Count);
        Assert.Equal(new Violation("more", "$", "there may be more", "100", "correct those listed and try again"), reading.Violations[100]);
    }

    [Fact]
    public void Violations_never_quote_the_document()
    {
        const string Secret = "hunter2-4111111111111111";
        var reading = Tpch.Read($$"""{"order_key":["{{Secret}}"],"customer_key":"{{new string('x', 50)}}{{Secret}}","order_status":"{{Secret}}","total_price":"{{Secret}}","order_date":"{{Secret}}","line_items":["{{Secret}}"]}""", "Order");

        Assert.Equal(6, reading.Violations.Count);
        Assert.DoesNotContain(Secret, string.Join('\n', reading.Violations), StringComparison.Ordinal);
        Assert.DoesNotContain(Secret, string.Join('\n', Tpch.Read($$"""{"{{Secret}}":1}""", Secret).Violations), StringComparison.Ordinal);
    }

    [Fact]
    public void A_document_that_lies_in_the_middle_of_a_buffer_is_read_from_there()
    {
        var buffer = Encoding.UTF8.GetBytes($"xxxx{TpchTests.Order}yyyy");
        var reading = new EntityReader(Tpch).Read(buffer.AsMemory(4..^4), null);

        Assert.Equal(Tpch.Read(TpchTests.Order).Lines(), reading.Lines());
    }
}
