namespace RuleEngineNats.ChangeCapture.Tests.Replay;

/// <summary>Values of every type in both styles, and tables at PostgreSQL's limits, make a second database equal to the first.</summary>
[Trait("Category", "Servers")]
public sealed class ReplayShapeTests
{
    private const int MostColumns = 1600;

    // 63 bytes: as long as a name can be.
    private static readonly string Longest = Sql.Identifier(string.Concat(Enumerable.Repeat("é.", 21)));

    private static readonly string Schema = TypeColumns.Types + TypeColumns.Table("types") + TypeColumns.Table("types_full") + $"""
        ALTER TABLE types_full REPLICA IDENTITY FULL;
        CREATE SCHEMA {Longest}; CREATE TABLE {Longest}.{Longest} ({Longest} int PRIMARY KEY);
        CREATE TABLE wide ({string.Join(", ", Enumerable.Range(1, MostColumns).Select(column => $"c_{new string('x', 50)}_{column} bool"))});
        ALTER TABLE wide REPLICA IDENTITY FULL;
        CREATE TABLE columnless (); ALTER TABLE columnless REPLICA IDENTITY FULL;
        """;

    [Theory]
    [InlineData("text")]
    [InlineData("typed")]
    public async Task Every_type_and_shape_is_replayed(string style)
    {
        await using var harness = await CaptureHarness.CreateAsync(Schema, new(MaxPayload: 8 * 1024 * 1024));
        await using var second = await SecondDatabase.CreateAsync(Schema);
        var tool = await harness.CaptureToNatsAsync("--values", style);
        var random = new Random(1);
        for (var id = 0; id < 100; id++)
        {
            await harness.ExecuteAsync(TypeColumns.Insert("types", id, random) + TypeColumns.Update("types", random.Next(id + 1), random));
            await harness.ExecuteAsync(TypeColumns.Insert("types_full", id, random) + TypeColumns.Update("types_full", random.Next(id + 1), random));
        }

        await harness.ExecuteAsync($"DELETE FROM types_full WHERE id % 3 = 0; INSERT INTO {Longest}.{Longest} VALUES (1), (2); UPDATE {Longest}.{Longest} SET {Longest} = 3 WHERE {Longest} = 1");
        await harness.ExecuteAsync($"INSERT INTO wide SELECT; INSERT INTO wide VALUES ({string.Join(", ", Enumerable.Range(1, MostColumns).Select(column => column % 3 == 0 ? "true" : "NULL"))}); UPDATE wide SET c_{new string('x', 50)}_1 = false WHERE c_{new string('x', 50)}_3");
        await harness.ExecuteAsync("INSERT INTO columnless SELECT FROM generate_series(1, 3)");
        await harness.ConfirmedAsync(tool);

        // An event is one line: line ends between the words of JSON are spaces there.
        const string OneLine = @"SET json = translate(json::text, E'\r\n\t', '   ')::json";
        await second.AssertEqualAsync(harness, typed: style == "typed", before: $"UPDATE types {OneLine}; UPDATE types_full {OneLine}");
    }
}
