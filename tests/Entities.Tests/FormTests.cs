using RuleEngineNats.TestKit;

namespace RuleEngineNats.Entities.Tests;

/// <summary>Both forms say the same, and upstream's own files load.</summary>
public sealed class FormTests
{
    private const string Legacy = """
        entity:
          name: Order
          source_type: root
          prefix: O
          doc: An order.
          validation: api
          publish: {subject: events.orders.ingested}
          minimal_existence: {require_all: [order_key]}
          fields:
            - {name: order_key, type: String, args: [40], doc: The key.}
            - {name: total, type: Decimal, args: [15, 2], index: true}
            - {name: at, type: DateTime, nullable: true}
            - {name: source, type: String, constant: web}
            - {name: city, type: String, nullable: true, computed_from: {transform: json_get_optional_string, sources: [self], args: {field: address.city}}}
            - {name: lines, type: "List[Object]"}
          persistence:
            database: {conformant_table: orders, conformant_id_column: id, unicity_fields: [order_key]}
            primary_key: {name: id, type: Integer, autogenerate: true}
        ---
        entity:
          name: Line
          source_type: derived
          repeated_for: {entity: Order, field: lines, each_known_as: item}
          parents: [{name: order, type: Order}]
          fields:
            - {name: order_key, type: String, args: [40], computed_from: {transform: copy_field, sources: [{source: order, field: order_key}]}}
            - {name: number, type: Integer, computed_from: {transform: json_get_int, sources: [item], args: {field: "no"}}}
            - {name: gift, type: Boolean, nullable: true}
          persistence:
            database:
              conformant_table: lines
              conformant_id_column: id
              unicity_fields: [order_key, number]
              foreign_keys: [{name: order_key, references: orders.order_key, parent_entity: Order}]
        """;

    private const string V1 = """
        apiVersion: nomnom.io/v1
        kind: Entity
        metadata: {name: Order, labels: {domain: sales}, annotations: {description: An order., owner: us}}
        spec:
          type: root
          prefix: O
          validation: api
          publish: {subject: events.orders.ingested}
          minimalExistence: {requireAll: [order_key]}
          fields:
            - {name: order_key, type: string, constraints: {maxLength: 40}, doc: The key.}
            - {name: total, type: decimal, constraints: {precision: 15, scale: 2, indexed: true}}
            - {name: at, type: timestamp, constraints: {nullable: true}}
            - {name: source, type: string, source: {constant: web}}
            - {name: city, type: string, constraints: {nullable: true}, source: {transform: json_get_optional_string, inputs: [self], args: [address.city]}}
            - {name: lines, type: "List[Object]"}
          persistence: {enabled: true, table: orders, unicity: {fields: [order_key]}}
        status: {phase: Ready}
        ---
        apiVersion: nomnom.io/v1
        kind: Entity
        metadata: {name: Line}
        spec:
          type: derived
          repetition: repeated
          derivation:
            parents: [{name: order, entity: Order}]
            repeatedFor: {entity: Order, field: lines, itemName: item}
          fields:
            - {name: order_key, type: string, constraints: {maxLength: 40}, source: {copyFrom: order, field: order_key}}
            - {name: number, type: integer, source: {transform: json_get_int, inputs: [item], args: ["no"]}}
            - {name: gift, type: boolean, constraints: {nullable: true}}
          persistence:
            table: lines
            unicity: {fields: [order_key, number]}
            foreignKeys: [{name: order_key, references: orders.order_key, parentEntity: Order}]
        """;

    [Fact]
    public void The_same_entities_in_both_forms_are_the_same_catalog()
    {
        var (legacy, v1) = (Catalogs.Of(Legacy), Catalogs.Of(V1));

        Assert.Equal(EntityDdl.Statements(legacy), EntityDdl.Statements(v1));
        Assert.Equal(legacy.Version, v1.Version);
        const string Order = """{"order_key":"1","total":1,"address":{"city":"Ulm"},"lines":[{"no":1,"gift":true},{"no":2}]}""";
        Assert.Equal(["orders: 1 | 1 | - | web | Ulm", "lines: 1 | 1 | true", "lines: 1 | 2 | -"], legacy.Read(Order).Lines());
        Assert.Equal(legacy.Read(Order).Lines(), v1.Read(Order).Lines());
    }

    [Theory]
    [InlineData("args: [40], doc", "args: [41], doc")]
    [InlineData("constant: web", "constant: app")]
    [InlineData("field: address.city", "field: address.town")]
    [InlineData("validation: api", "validation: worker")]
    [InlineData("prefix: O", "prefix: P")]
    [InlineData("events.orders.ingested", "events.orders.in")]
    [InlineData("require_all", "require_any")]
    [InlineData("type: Boolean, nullable: true", "type: Boolean")]
    [InlineData("unicity_fields: [order_key, number]", "unicity_fields: [number, order_key]")]
    [InlineData("The key.", "A key.")]
    public void The_version_changes_with_what_is_read_and_stored(string old, string changed)
    {
        Assert.Contains(old, Legacy, StringComparison.Ordinal);
        Assert.NotEqual(Catalogs.Of(Legacy).Version, Catalogs.Of(Legacy.Replace(old, changed, StringComparison.Ordinal)).Version);
        Assert.Equal(Catalogs.Of(Legacy).Version, Catalogs.Of($"# a comment\n{Legacy}").Version);
    }

    [Fact]
    public void Names_of_the_v1_form_become_columns_in_snake_case()
    {
        var catalog = Catalogs.Of("""
            apiVersion: nomnom.io/v1
            kind: Entity
            metadata: {name: Diagnosis}
            spec:
              type: root
              fields:
                - {name: facilityId, type: string}
                - {name: dg1Segments, type: json}
                - {name: codeDRG, type: string, constraints: {nullable: true, unique: true}}
              persistence:
                table: diagnoses
                unicity: {fields: [facilityId]}
                indexes: [{name: idx_segments, fields: [dg1Segments], method: gin}, {name: idx_both, fields: [facilityId, codeDRG], unique: true}]
            """);

        Assert.Equal(["id", "facility_id", "dg1_segments", "code_drg", "ingested_at"], catalog.Tables[0].Columns.Select(column => column.Name));
        Assert.Equal(
            [
                """CREATE UNIQUE INDEX IF NOT EXISTS "diagnoses_facility_id_key" ON "diagnoses" USING btree ("facility_id")""",
                """CREATE UNIQUE INDEX IF NOT EXISTS "diagnoses_code_drg_key" ON "diagnoses" USING btree ("code_drg")""",
                """CREATE INDEX IF NOT EXISTS "idx_segments" ON "diagnoses" USING gin ("dg1_segments")""",
                """CREATE UNIQUE INDEX IF NOT EXISTS "idx_both" ON "diagnoses" USING btree ("facility_id", "code_drg")""",
            ],
            EntityDdl.Statements(catalog).Skip(1).Take(4));
        Assert.Equal(["diagnoses: x | {} | -"], catalog.Read("""{"facilityId":"x","dg1Segments":{},"facility_id":"y"}""").Lines());
    }

    [Fact]
    public void Overrides_change_type_and_nullability_and_make_a_column_of_a_repeated_list()
    {
        var catalog = Catalogs.Of("""
            entity:
              name: A
              fields: [{name: at, type: String}, {name: n, type: Integer}, {name: list, type: "List[Object]"}]
              persistence:
                database: {conformant_table: a}
                field_overrides: [{name: at, type: DateTime, nullable: true}, {name: n, type: String, args: [5], index: true}, {name: list}]
            ---
            entity: {name: B, source_type: derived, repeated_for: {entity: A, field: list}, fields: [{name: x, type: Integer}], persistence: {database: {conformant_table: b}}}
            """);

        Assert.Equal(["bigint", "timestamp with time zone", "character varying(5)", "jsonb", "timestamp with time zone"], catalog.Tables[0].Columns.Select(column => column.Type));
        Assert.Equal("a_n_idx", Assert.Single(catalog.Tables[0].Indexes).Name);
        Assert.Equal(["a: - | 5 | [{\"x\":1}]", "b: 1"], catalog.Read("""{"n":"5","list":[{"x":1}]}""").Lines());
    }

    [Fact]
    public void A_long_name_of_an_index_is_cut_with_a_hash_of_the_rest()
    {
        var table = new string('t', 60);
        var index = Assert.Single(Catalogs.Of($"entity: {{name: A, fields: [{{name: some_field, type: Integer, index: true}}], persistence: {{database: {{conformant_table: {table}}}}}}}").Tables[0].Indexes);

        Assert.Equal(63, index.Name.Length);
        Assert.StartsWith(table[..50], index.Name, StringComparison.Ordinal);
        Assert.EndsWith("_idx", index.Name, StringComparison.Ordinal);
    }

    [Fact]
    public void Files_are_one_catalog_in_the_order_of_their_names()
    {
        var folder = Directory.CreateTempSubdirectory("entities-");
        try
        {
            File.WriteAllText(Path.Combine(folder.FullName, "b.yml"), "\uFEFFentity: {name: B, fields: [{name: x, type: Integer}], persistence: {database: {conformant_table: b}}}");
            File.WriteAllText(Path.Combine(folder.FullName, "a.yaml"), "entity: {name: C, source_type: derived, parent: B, fields: [{name: x, type: Integer}], persistence: {database: {conformant_table: c}}}");
            File.WriteAllText(Path.Combine(folder.FullName, ".hidden.yaml"), "no");
            File.WriteAllText(Path.Combine(folder.FullName, "readme.md"), "no");

            Assert.Equal(["C", "B"], TpchTests.Load(folder.FullName).Entities.Select(entity => entity.Name));
            Assert.Equal(["b", "c"], TpchTests.Load(folder.FullName).Tables.Select(table => table.Name));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public void The_check_shows_the_statements_or_every_problem()
    {
        var good = new StringWriter();
        Assert.Equal(0, EntityCheck.Run(Repository.Path("examples", "entities", "tpch"), good));
        Assert.StartsWith("-- 5 entities of ", good.ToString(), StringComparison.Ordinal);
        Assert.Contains("CREATE TABLE IF NOT EXISTS \"order_line_items\" (", good.ToString(), StringComparison.Ordinal);

        var none = new StringWriter();
        Assert.Equal(1, EntityCheck.Run("", none));
        Assert.StartsWith("no folder is given (set Ingestion:Entities:Folder)", none.ToString(), StringComparison.Ordinal);

        var folder = Directory.CreateTempSubdirectory("entities-");
        try
        {
            File.WriteAllText(Path.Combine(folder.FullName, "a.yaml"), "entity: {name: A, fields: [{name: x, type: Int}], persistence: {database: {conformant_table: a}}}");
            File.WriteAllText(Path.Combine(folder.FullName, "b.yaml"), "a: b");
            var bad = new StringWriter();
            Assert.Equal(1, EntityCheck.Run(folder.FullName, bad));
            Assert.Equal(
                [
                    "a.yaml:1:44: entity.fields[0].type: unknown type 'Int' (one of String, Integer, Float, Decimal, Boolean, DateTime, Date, Object, List[String], List[Object])",
                    "b.yaml:1:1: no entity (begin with 'entity:', or with 'apiVersion: nomnom.io/v1')",
                    $"2 problems in {folder.FullName}",
                ],
                bad.ToString().Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}
