using System.Diagnostics;
using System.Text;
using System.Text.Json.Nodes;
using RuleEngineNats.Contracts;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.Entities.Tests;

/// <summary>Whatever comes, nothing is thrown and nothing takes forever.</summary>
public sealed class HostileTests
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(20);

    private static readonly EntityCatalog Tpch = TpchTests.Load(Repository.Path("examples", "entities", "tpch"));

    public static TheoryData<string, string> Bombs => new()
    {
        { "aliases", "a: &a [x,x,x,x,x,x,x,x,x]\n" + string.Concat(Enumerable.Range(1, 20).Select(level => $"b{level}: &b{level} [{string.Join(',', Enumerable.Repeat(level == 1 ? "*a" : $"*b{level - 1}", 9))}]\n")) },
        { "deep flow", new string('[', 200_000) },
        { "deep closed flow", "entity: " + new string('[', 5000) + new string(']', 5000) },
        { "deep mappings", string.Concat(Enumerable.Range(0, 1000).Select(level => $"{new string(' ', level)}a:\n")) },
        { "many keys", "entity:\n" + string.Concat(Enumerable.Range(0, 50_000).Select(key => $"  k{key}: 1\n")) },
        { "many fields", "entity:\n  name: A\n  fields:\n" + string.Concat(Enumerable.Range(0, 20_000).Select(key => $"  - {{name: f{key}, type: Integer}}\n")) },
        { "many entities", string.Concat(Enumerable.Range(0, 5000).Select(number => $"---\nentity: {{name: E{number}, extends: E{number + 1}, fields: [{{name: a, type: String}}]}}\n")) },
        { "long chain", string.Concat(Enumerable.Range(0, 3000).Select(number => $"---\nentity: {{name: E{number}, source_type: derived, parent: E{number + 1}, fields: [{{name: a, type: String}}]}}\n")) },
        { "long scalar", $"entity: {{name: {new string('a', 900_000)}}}" },
        { "control characters", "entity: {name: \u0001}" },
        { "long pattern", $"apiVersion: nomnom.io/v1\nkind: Entity\nmetadata: {{name: A}}\nspec: {{type: root, fields: [{{name: a, type: string, constraints: {{pattern: \"{new string('(', 100_000)}\"}}}}], persistence: {{table: a}}}}" },
    };

    [Theory]
    [MemberData(nameof(Bombs))]
    public void Definitions_that_mean_harm_are_problems(string kind, string yaml)
    {
        Assert.NotEmpty(kind);
        var clock = Stopwatch.StartNew();
        var before = GC.GetAllocatedBytesForCurrentThread();

        var (catalog, problems) = EntityLoader.LoadText("test.yaml", yaml);

        Assert.Null(catalog);
        Assert.NotEmpty(problems);
        Assert.True(clock.Elapsed < Soon, $"took {clock.Elapsed}");
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 2_000_000_000);
    }

    [Fact]
    public void A_file_that_is_too_large_or_no_text_is_a_problem_of_its_own()
    {
        var folder = Directory.CreateTempSubdirectory("entities-");
        try
        {
            File.WriteAllText(Path.Combine(folder.FullName, "large.yaml"), new string('#', EntityLimits.FileBytes + 1));
            File.WriteAllBytes(Path.Combine(folder.FullName, "latin1.yaml"), [.. "entity: {doc: "u8, 0xE4, .. "}"u8]);
            File.WriteAllText(Path.Combine(folder.FullName, "other.yaml"), "entity: {name: B, source_type: derived, parent: Missing, fields: [{name: a, type: Strng}]}");

            // Whether Missing is in one of the files that could not be read is not known, so it is not reported.
            Assert.Equal(
                [
                    "large.yaml: larger than 1048576 bytes (split the file)",
                    "latin1.yaml: not valid UTF-8 (save the file as UTF-8)",
                    "other.yaml:1:83: entity.fields[0].type: unknown type 'Strng' (did you mean 'String'?)",
                ],
                EntityLoader.Load(folder.FullName).Problems.Select(problem => problem.ToString()));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public void Too_many_files_are_a_problem()
    {
        var folder = Directory.CreateTempSubdirectory("entities-");
        try
        {
            for (var file = 0; file <= EntityLimits.Files; file++)
            {
                File.WriteAllText(Path.Combine(folder.FullName, $"{file:0000}.yaml"), $"entity: {{name: E{file}, fields: [{{name: a, type: String}}], persistence: {{database: {{conformant_table: t{file}}}}}}}");
            }

            Assert.Equal($"{folder.FullName} has 1001 files, at most 1000 (merge or remove some)", Assert.Single(EntityLoader.Load(folder.FullName).Problems).ToString());
            File.Delete(Path.Combine(folder.FullName, "0000.yaml"));
            Assert.Equal(1000, TpchTests.Load(folder.FullName).Entities.Count);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Random_documents_and_damaged_ones_never_throw(int seed)
    {
        var random = new Random(seed);
        var reader = new EntityReader(Tpch);
        var order = Encoding.UTF8.GetBytes(TpchTests.Order);
        var (valid, invalid) = (0, 0);
        for (var round = 0; round < 5000; round++)
        {
            var json = (round % 3) switch
            {
                0 => Damage(order, random),
                1 => Encoding.UTF8.GetBytes(Mutate(JsonNode.Parse(order)!, random).ToJsonString()),
                _ => Encoding.UTF8.GetBytes(Any(random, 0)?.ToJsonString() ?? "null"),
            };
            var reading = reader.Read(json, random.Next(2) == 0 ? "Order" : null);
            _ = reading.IsValid ? valid++ : invalid++;
            Assert.Equal(reading.IsValid, reading.Rows.Count > 0);
            Assert.All(reading.Violations, violation => Assert.False(string.IsNullOrEmpty(violation.Message) || string.IsNullOrEmpty(violation.Field) || string.IsNullOrEmpty(violation.Fix)));
        }

        Assert.InRange(valid, 50, 4900);
        Assert.InRange(invalid, 100, 4950);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Damaged_definitions_never_throw(int seed)
    {
        var random = new Random(seed);
        var texts = Directory.GetFiles(Repository.Path("examples", "entities", "tpch")).Select(File.ReadAllText).ToArray();
        for (var round = 0; round < 1500; round++)
        {
            var yaml = Encoding.UTF8.GetString(Damage(Encoding.UTF8.GetBytes(texts[round % texts.Length]), random));
            var (catalog, problems) = EntityLoader.LoadText("test.yaml", yaml);
            Assert.Equal(catalog is null, problems.Count > 0);
        }
    }

    [Fact]
    public async Task Readers_share_a_catalog_without_mixing_documents()
    {
        var reader = new EntityReader(Tpch);
        await Task.WhenAll(Enumerable.Range(0, 4).Select(number => Task.Run(() =>
        {
            for (var round = 0; round < 2000; round++)
            {
                var key = $"O{number}-{round}";
                var reading = reader.Read(Encoding.UTF8.GetBytes(TpchTests.Order.Replace("O12345", key, StringComparison.Ordinal)), null);
                Assert.Equal(key, reading.Rows[0][0][0].Text);
                Assert.Equal(key, reading.Rows[1][1][0].Text);
            }
        })));
    }

    [Fact]
    public void Reading_an_order_allocates_little_more_than_its_rows()
    {
        var reader = new EntityReader(Tpch);
        var json = Encoding.UTF8.GetBytes(TpchTests.Order);
        reader.Read(json, "Order");
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var round = 0; round < 1000; round++)
        {
            reader.Read(json, "Order");
        }

        // 41 values of 24 bytes, one text with escapes, and what holds them; boxed values alone would be as much again.
        Assert.InRange((GC.GetAllocatedBytesForCurrentThread() - before) / 1000, 1, 1800);
    }

    private static byte[] Damage(byte[] bytes, Random random)
    {
        var damaged = bytes.ToList();
        for (var times = random.Next(1, 4); times > 0; times--)
        {
            var at = random.Next(damaged.Count);
            switch (random.Next(4))
            {
                case 0:
                    damaged[at] = (byte)random.Next(256);
                    break;
                case 1:
                    damaged.RemoveAt(at);
                    break;
                case 2:
                    damaged.Insert(at, (byte)"[]{}:,\"'&*!|>-?#%@ \n\t0"[random.Next(22)]);
                    break;
                default:
                    var length = Math.Min(random.Next(40), damaged.Count - at);
                    damaged.InsertRange(random.Next(damaged.Count), damaged.GetRange(at, length));
                    break;
            }
        }

        return [.. damaged];
    }

    // One value somewhere in it is replaced or removed.
    private static JsonNode Mutate(JsonNode node, Random random)
    {
        var places = new List<JsonNode>();
        Collect(node, places);
        var place = places[random.Next(places.Count)];
        if (place.Parent is JsonObject parent)
        {
            var name = place.GetPropertyName();
            parent.Remove(name);
            if (random.Next(3) > 0)
            {
                parent[name] = Any(random, 3);
            }
        }
        else if (place.Parent is JsonArray list)
        {
            list[place.GetElementIndex()] = Any(random, 3);
        }

        return node;
    }

    private static void Collect(JsonNode? node, List<JsonNode> places)
    {
        if (node is null)
        {
            return;
        }

        places.Add(node);
        foreach (var child in node switch { JsonObject map => map.Select(pair => pair.Value), JsonArray list => list, _ => [] })
        {
            Collect(child, places);
        }
    }

    private static JsonNode? Any(Random random, int depth) => random.Next(depth > PayloadRules.MaxDepth - 4 ? 6 : 8) switch
    {
        0 => null,
        1 => random.Next(2) == 0,
        2 => random.NextInt64(long.MinValue, long.MaxValue),
        3 => random.NextDouble() * Math.Pow(10, random.Next(-30, 30)),
        4 => "2025-01-15T10:30:00Z"[..random.Next(21)],
        5 => new string([.. Enumerable.Range(0, random.Next(60)).Select(_ => (char)random.Next(1, 0xD7FF))]),
        6 => new JsonArray([.. Enumerable.Range(0, random.Next(4)).Select(_ => Any(random, depth + 1))]),
        _ => new JsonObject(Enumerable.Range(0, random.Next(4)).Select(_ => (string[])["order_key", "line_items", "quantity", "x", "comment"]).SelectMany(names => names.Take(random.Next(5)))
            .Distinct().Select(name => KeyValuePair.Create(name, Any(random, depth + 1)))),
    };
}
