using System.Text.Json;
using Npgsql;
using RuleEngineNats.DeliveryWorker.Payloads;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.DeliveryWorker.Tests.Payloads;

/// <summary>A template that SQL takes can be filled by the worker, and one that it refuses is refused by the worker too, at the same character.</summary>
[Trait("Category", "Servers")]
public sealed class TemplateParityTests
{
    private static readonly string[] Parts =
    [
        "{{", "}}", "{", "}", "a", "b-2", "_x", ".", "[0]", "[12]", "[x]", "[-1]", "[0000000001]", "$", "$subject", "$id", "$time", "$type", "$source", "$webhook", "$data",
        "\"q d\"", "\"\\\"\"", "\"\\n\"", "\"}}\"", "\"\"", "\"", " ", "\n", "\t", "é", "0", "{{a}}", "{{ $.a[0].\"ü\" }}", "{{$}}", "|",
    ];

    [Fact]
    public async Task Random_placeholders_are_taken_alike()
    {
        var random = new Random(22);
        var (taken, wrong) = (0, new List<string>());
        await using var database = NpgsqlDataSource.Create(await (await PostgresServer.StartAsync()).CreateDatabaseAsync());
        await using var connection = await database.OpenConnectionAsync();
        for (var round = 0; round < 4000; round++)
        {
            var inner = string.Concat(Enumerable.Range(0, 1 + random.Next(4)).Select(_ => Parts[random.Next(Parts.Length)]));
            var text = random.Next(2) == 0 ? "x {{" + inner + "}} y" : inner;
            var (expected, actual) = (await ErrorAsync(connection, text), Error(text));
            taken += expected is null ? 1 : 0;
            if (expected != actual)
            {
                wrong.Add($"{text}: PostgreSQL {expected ?? "takes it"}, the worker {actual ?? "takes it"}");
            }
        }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong.Take(20)));
        Assert.True(taken is > 500 and < 3500, $"{taken} taken");
    }

    private static string? Error(string text)
    {
        try
        {
            var template = PayloadTemplate.Compile(JsonSerializer.SerializeToElement(text));
            template.Fill("""{"a":[{"ü":1}]}"""u8.ToArray(), new("id", "a.b", "now", "type", "/source", "hook"));
            return null;
        }
        catch (FormatException e)
        {
            return e.Message + " of the text";
        }
    }

    private static async Task<string?> ErrorAsync(NpgsqlConnection connection, string text)
    {
        try
        {
            await using var command = new NpgsqlCommand("SELECT rule_webhook_template_check(to_jsonb($1))", connection);
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = text });
            await command.ExecuteNonQueryAsync();
            return null;
        }
        catch (PostgresException e)
        {
            return e.MessageText;
        }
    }
}
