namespace RuleEngineNats.Entities.Tests;

/// <summary>Where values come from, and what they become.</summary>
public sealed class FieldTests
{
    [Fact]
    public void Every_type_keeps_its_value_exactly()
    {
        var catalog = Catalogs.OfFields(
            "{name: s, type: string}", "{name: i, type: integer}", "{name: f, type: float}", "{name: d, type: decimal}", "{name: t, type: boolean}",
            "{name: ts, type: timestamp}", "{name: day, type: date}", "{name: o, type: json}", "{name: ls, type: \"List[String]\"}", "{name: lo, type: \"List[Object]\"}");

        Assert.Equal(
            ["a: ä\"\n😀 | -9223372036854775808 | 0.1 | 12345678901234567890.10 | true | 2025-01-15T09:30:00.123456Z | 2024-02-29 | {\"n\": 9007199254740993} | [\"x\", \"y\"] | [{}]"],
            catalog.Read("""
                {"s":"\u00e4\"\n😀","i":-9223372036854775808,"f":0.1,"d":12345678901234567890.10,"t":true,"ts":"2025-01-15T10:30:00.1234567+01:00",
                 "day":"2024-02-29","o":{"n": 9007199254740993},"ls":["x", "y"],"lo":[{}]}
                """).Lines());
    }

    [Theory]
    [InlineData("450.00", "450.00")]
    [InlineData("-0.05", "-0.05")]
    [InlineData("\"1234.5600\"", "1234.5600")]
    [InlineData("1e3", "1000")]
    [InlineData("1.5E-2", "0.015")]
    [InlineData("999999999999999999", "999999999999999999")]
    [InlineData("1234567890123456789.123456789", "1234567890123456789.123456789")]
    [InlineData("-79228162514264337593543950335", "-79228162514264337593543950335")]
    [InlineData("0.0000000000000000000000000001", "0.0000000000000000000000000001")]
    [InlineData("0.10000000000000000000000000000000", "0.1000000000000000000000000000")]
    public void A_decimal_keeps_its_digits(string json, string value)
        => Assert.Equal([$"a: {value}"], Catalogs.OfFields("{name: d, type: decimal}").Read($"{{\"d\":{json}}}").Lines());

    [Theory]
    [InlineData("2025-01-15", "2025-01-15T00:00:00.000000Z")]
    [InlineData("2025-01-15t10:30:00z", "2025-01-15T10:30:00.000000Z")]
    [InlineData("2025-01-15T10:30:00-23:59", "2025-01-16T10:29:00.000000Z")]
    [InlineData("2025-01-15T10:30:00.5Z", "2025-01-15T10:30:00.500000Z")]
    [InlineData("2025-01-15T10:30:00.123456789Z", "2025-01-15T10:30:00.123456Z")]
    [InlineData("2025-01-15T10:30:00\\u002B01:00", "2025-01-15T09:30:00.000000Z")]
    [InlineData("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z")]
    public void A_timestamp_is_a_moment_in_utc(string json, string value)
        => Assert.Equal([$"a: {value}"], Catalogs.OfFields("{name: t, type: timestamp}").Read($"{{\"t\":\"{json}\"}}").Lines());

    [Fact]
    public void A_default_stands_for_what_is_missing_and_for_null_where_there_must_be_a_value()
    {
        var catalog = Catalogs.OfFields(
            "{name: a, type: string, constraints: {default: x}}", "{name: b, type: integer, constraints: {default: 5, nullable: true}}", "{name: c, type: date, constraints: {default: 2025-01-01}}",
            "{name: d, type: json, constraints: {default: {k: [1, ~, two]}}}", "{name: e, type: boolean, constraints: {default: false}}", "{name: f, type: decimal, constraints: {default: 1.50}}");

        Assert.Equal(["""a: x | 5 | 2025-01-01 | {"k":[1,null,"two"]} | false | 1.50"""], catalog.Read("{}").Lines());
        Assert.Equal(["""a: x | - | 2025-01-02 | {} | true | 2"""], catalog.Read("""{"a":null,"b":null,"c":"2025-01-02","d":{},"e":true,"f":2}""").Lines());
    }

    [Fact]
    public void Computed_fields_come_from_json_from_other_fields_from_constants_and_from_conditions()
    {
        var catalog = Catalogs.Of("""
            entity:
              name: Patient
              fields:
                - {name: id, type: String}
                - {name: kind, type: String, nullable: true}
                - {name: address, type: Object, nullable: true}
                - {name: city, type: String, nullable: true, computed_from: {transform: json_get_optional_string, sources: [address], args: {field: place.city}}}
                - {name: zip, type: String, nullable: true, computed_from: {transform: json_get_optional_string, args: {field: address.zip}}}
                - {name: nick, type: String, nullable: true, computed_from: {transform: json_get_optional_string, sources: [self], args: {field: nickname}}}
                - {name: label, type: String, computed_from: {transform: coalesce, sources: [nick, id]}}
                - {name: source, type: String, constant: web}
                - {name: version, type: Integer, computed_from: {transform: constant_value, args: {value: 3}}}
                - name: place
                  type: String
                  nullable: true
                  computed_from: {transform: copy_field_conditional, sources: [city, zip], condition: {field: kind, equals: town}}
                - name: only
                  type: String
                  nullable: true
                  computed_from: {transform: json_get_optional_string, args: {field: secret}, condition: {field: {source: self, field: address.open}, equals: "true"}}
              persistence: {database: {conformant_table: patients, conformant_id_column: key}}
            """);

        Assert.Equal(
            ["""patients: 1 | town | {"place":{"city":"Ulm"},"zip":"89073","open":true} | Ulm | 89073 | Joe | Joe | web | 3 | Ulm | s"""],
            catalog.Read("""{"id":"1","kind":"town","nickname":"Joe","secret":"s","address":{"place":{"city":"Ulm"},"zip":"89073","open":true}}""").Lines());
        Assert.Equal(
            ["""patients: 1 | - | {"zip":"89073","place":7} | - | 89073 | - | 1 | web | 3 | 89073 | -"""],
            catalog.Read("""{"id":"1","secret":"s","address":{"zip":"89073","place":7}}""").Lines());
        Assert.Equal(
            ["wrong_type address.place.city: address.place.city is an object, not a string", "wrong_type address.zip: address.zip is a number, not a string", "wrong_type nickname: nickname is a list, not a string"],
            catalog.Read("""{"id":"1","nickname":[],"address":{"zip":89073,"place":{"city":{}}}}""").Violations.Select(violation => $"{violation.Code} {violation.Field}: {violation.Message}"));
    }

    [Fact]
    public void Derived_entities_are_made_of_lists_in_lists_and_of_what_is_beside_them()
    {
        var catalog = Catalogs.Of("""
            entity:
              name: Trip
              fields: [{name: id, type: Integer}, {name: legs, type: "List[Object]"}, {name: tags, type: "List[String]", nullable: true}]
              persistence: {database: {conformant_table: trips, unicity_fields: [id]}, primary_key: {name: id}}
            ---
            entity:
              name: Stop
              source_type: derived
              repeated_for: {entity: Leg, field: stops, each_known_as: stop}
              parents: [{name: trip, type: Trip}]
              fields:
                - {name: trip, type: Integer, computed_from: {transform: copy_field, sources: [{source: trip, field: id}]}}
                - {name: leg, type: Integer, computed_from: {transform: copy_field, sources: [{source: Leg, field: number}]}}
                - {name: name, type: String}
                - {name: carrier, type: String, nullable: true, computed_from: {transform: json_get_optional_string, sources: [leg], args: {field: carrier}}}
                - {name: note, type: String, nullable: true, computed_from: {transform: copy_field, sources: [{source: Meta, field: note}]}}
              persistence: {database: {conformant_table: stops, foreign_keys: [{name: trip, references: trips.id}]}}
            ---
            entity:
              name: Leg
              source_type: derived
              repeated_for: {entity: Trip, field: legs, each_known_as: leg}
              fields:
                - {name: number, type: Integer}
                - {name: stops, type: "List[Object]", nullable: true}
            ---
            entity:
              name: Meta
              source_type: derived
              parent: Trip
              minimal_existence: {require_any: [note, by]}
              fields:
                - {name: trip, type: Integer, computed_from: {transform: copy_field, sources: [{source: Trip, field: id}]}}
                - {name: note, type: String, nullable: true}
                - {name: by, type: String, nullable: true}
                - {name: at, type: Date}
              persistence: {database: {conformant_table: meta}}
            ---
            entity:
              name: Tag
              source_type: derived
              repeated_for: {entity: Trip, field: tags, each_known_as: tag}
              fields: [{name: text, type: String, computed_from: {transform: copy_field, sources: [tag]}}]
              persistence: {database: {conformant_table: tags}}
            """);

        Assert.Equal(["trips", "stops", "meta", "tags"], catalog.Tables.Select(table => table.Name));
        Assert.Equal(
            ["trips: 7", "stops: 7 | 1 | Ulm | DB | n", "stops: 7 | 1 | Aulendorf | DB | n", "stops: 7 | 3 | Bonn | - | n", "meta: 7 | n | - | 2025-01-01", "tags: red", "tags: \"b\""],
            catalog.Read("""
                {"id":7,"note":"n","at":"2025-01-01","tags":["red","\"b\""],
                 "legs":[{"number":1,"carrier":"DB","stops":[{"name":"Ulm"},{"name":"Aulendorf"}]},{"number":2},{"number":3,"stops":[{"name":"Bonn"}]}]}
                """).Lines());
        // There is no Meta without a note, so what is wrong with it does not matter.
        Assert.Equal(["trips: 7", "stops: 7 | 1 | Ulm | - | -"], catalog.Read("""{"id":7,"by":"","legs":[{"number":1,"stops":[{"name":"Ulm"}]}]}""").Lines());
        Assert.Equal(
            ["legs[1].stops[0].name", "legs[1].carrier"],
            catalog.Read("""{"id":7,"legs":[{"number":1},{"number":2,"carrier":1,"stops":[{},{"name":"x"},{"name":"y"}]}]}""").Violations.Select(violation => violation.Field));
    }

    [Fact]
    public void A_root_that_lacks_what_it_must_have_is_no_such_entity()
    {
        var catalog = Catalogs.Of("""
            entity:
              name: A
              minimal_existence: {require_all: [x, y]}
              fields: [{name: x, type: String, nullable: true}, {name: y, type: Integer, nullable: true}]
              persistence: {database: {conformant_table: a}}
            """);

        Assert.Equal(["a: x | 0"], catalog.Read("""{"x":"x","y":0}""").Lines());
        Assert.Equal(
            [new Violation("minimal_existence", "$", "some of x, y have no value", "x, y", "give all of them a value")],
            catalog.Read("""{"x":"","y":1}""", "A").Violations);
    }

    [Fact]
    public void Entities_inherit_fields_persistence_and_parents()
    {
        var catalog = Catalogs.Of("""
            entity:
              name: Base
              abstract: true
              publish: {subject: events.base}
              validation: api
              fields: [{name: id, type: String}, {name: at, type: DateTime, nullable: true}]
              persistence: {database: {conformant_table: things, unicity_fields: [id]}}
            ---
            entity:
              name: Thing
              extends: Base
              fields: [{name: size, type: Integer}, {name: at, type: Date, nullable: true}]
            """);

        Assert.Equal(["Thing"], catalog.Entities.Select(entity => entity.Name));
        var thing = catalog.Find("Thing")!;
        Assert.Equal((EntityValidation.Api, "events.base"), (thing.Validation, thing.Table!.Publish));
        Assert.Equal(["id", "size", "at"], thing.Fields.Select(field => field.Name));
        Assert.Equal(["id"], thing.Table.Unicity);
        Assert.Equal(["things: a | 2 | 2025-01-01"], catalog.Read("""{"id":"a","size":2,"at":"2025-01-01"}""").Lines());
    }
}
