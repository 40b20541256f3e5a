using System.Text;
using System.Text.Json;
using Npgsql;
using RuleEngineNats.DeliveryWorker.Payloads;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.DeliveryWorker.Tests.Payloads;

/// <summary>A content filter lets the same documents through in the worker and in PostgreSQL.</summary>
[Trait("Category", "Servers")]
public sealed class FilterParityTests
{
    private const string Judge = """
        SELECT CASE WHEN $2 ~ '^[$]' THEN $1::jsonb @? $2::jsonpath ELSE coalesce($1::jsonb @@ $2::jsonpath, false) END, rule_webhook_filter_matches($2::jsonpath, $1::jsonb)
        """;

    private static readonly Lazy<Task<NpgsqlDataSource>> Database = new(async () => NpgsqlDataSource.Create(await (await PostgresServer.StartAsync()).CreateDatabaseAsync()));

    [Fact]
    public async Task Random_and_hostile_documents_are_judged_alike()
    {
        var corpus = new FilterCorpus(seed: 20);
        var (pairs, matched, wrong) = (0, 0, new List<string>());
        await using var connection = await (await Database.Value).OpenConnectionAsync();
        for (var round = 0; round < 150; round++)
        {
            var path = await CanonicalAsync(connection, corpus.Path());
            var filter = ContentFilter.Compile(path);
            foreach (var document in FilterCorpus.Hostile.Concat(Enumerable.Range(0, 20).Select(_ => corpus.Document())))
            {
                var expected = await JudgeAsync(connection, document, path);
                var actual = Matches(filter, Encoding.UTF8.GetBytes(document));
                (pairs, matched) = (pairs + 1, matched + (expected ? 1 : 0));
                if (expected != actual)
                {
                    wrong.Add($"{path} over {document[..Math.Min(document.Length, 200)]}: PostgreSQL {expected}");
                }
            }
        }

        Assert.True(wrong.Count == 0, $"{wrong.Count} of {pairs}\n" + string.Join('\n', wrong.Take(20)));
        Assert.True(pairs >= 10_000 && matched >= 1_000, $"{pairs} pairs, {matched} matched");
    }

    [Fact]
    public async Task Patterns_of_like_regex_match_the_same_texts()
    {
        string[] patterns =
        [
            "a", "^a", "a$", "^a$", "^$", "a.b", ".", "^.$", "^..$", "[ab]", "[^ab]", "^[^ab]$", "[a-c]+", "^[a-z-]+$", "[-a]", @"\d", @"^\d+$", @"\w", @"^\w+$", @"\s", @"^\s$", @"a\.b",
            @"a\nb", @"\t", "a|b", "^(a|b)$", "(ab)*c", "(?:ab)+", "a{2}", "^a{1,2}$", "^a{2,}$", "a?b", @"[\d\s]", @"[^\d]", @"^[\.\-\]]$", "^ü$", "[ä-ü]", "^😀$", "😀+$", "^[^x]$", "a^b", "a$b", "()", "a|", "K", "[k-m]",
            @"\\", @"[\\]", @"\$\^", "^(a+)+$", "(a*)*b", "/", "'", "\"", "#", "[#]", "~", "a&&b", "[a&&b]", "[a-z&&x]", "x{0}", "^x{0,0}$", "ſ",
        ];
        string[] texts =
        [
            "", "a", "b", "ab", "abab", "A", "AB", "a\nb", "\n", "a\n", "\na", "a\n\nb", "b\na", "a.b", "a-b", "-", "]", ".", "1", "12", "a1", "_", " ", "\t", "\u00a0", "\u2028", "\r", "aa", "aaa", "ü", "Ü", "ä", "😀", "😀😀", "x😀",
            "\uffff", "K", "\u212a", "k", "K", "l", "٣", "\\", "$^", "/'\"#~&", "ababc", "x", "ſ", "s", "\u0085", "\v", "a&&b", "&",
        ];
        var wrong = new List<string>();
        var pairs = 0;
        await using var connection = await (await Database.Value).OpenConnectionAsync();
        foreach (var flags in (string[])["", "i", "s", "m", "ims"])
        {
            foreach (var pattern in patterns.Where(pattern => !flags.Contains('i') || Ascii.IsValid(pattern)))
            {
                var path = await CanonicalAsync(connection, $"$ like_regex {JsonSerializer.Serialize(pattern)} flag \"{flags}\"");
                var filter = ContentFilter.Compile(path);
                foreach (var text in texts)
                {
                    var document = JsonSerializer.Serialize(text);
                    pairs++;
                    if (await JudgeAsync(connection, document, path) is var expected && expected != Matches(filter, Encoding.UTF8.GetBytes(document)))
                    {
                        wrong.Add($"{path} over {document}: PostgreSQL {expected}");
                    }
                }
            }
        }

        Assert.True(wrong.Count == 0, $"{wrong.Count} of {pairs}\n" + string.Join('\n', wrong.Take(30)));
        Assert.True(pairs > 10_000);
    }

    [Theory]
    [InlineData("a*?")]
    [InlineData("(?=a)b")]
    [InlineData("(?i)a")]
    [InlineData("[[:alpha:]]")]
    [InlineData("[^^]")]
    [InlineData(@"\bx")]
    [InlineData(@"\D")]
    [InlineData(@"(a)\1")]
    [InlineData(@"[a\w-z]x{2}{3}")]
    [InlineData("(ab){2}")]
    [InlineData("a{200}b{200}c{200}d{200}e{201}")]
    [InlineData("]")]
    [InlineData("}")]
    public async Task A_pattern_that_is_refused_at_write_is_refused_by_the_worker(string pattern)
    {
        await using var connection = await (await Database.Value).OpenConnectionAsync();
        var refused = await Assert.ThrowsAsync<PostgresException>(() => CanonicalAsync(connection, $"$ like_regex {JsonSerializer.Serialize(pattern)}"));
        Assert.Equal("22023", refused.SqlState);
        Assert.StartsWith("content_filter: ", refused.MessageText, StringComparison.Ordinal);
        Assert.Throws<FormatException>(() => ContentFilter.Compile($"($ like_regex {JsonSerializer.Serialize(pattern)})"));
    }

    private static bool Matches(ContentFilter filter, byte[] body)
    {
        using var document = EventBody.Parse(body);
        return filter.Matches(document);
    }

    private static async Task<string> CanonicalAsync(NpgsqlConnection connection, string path)
    {
        await using var command = new NpgsqlCommand("SELECT rule_webhook_filter_check($1)", connection);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = path });
        return (string)(await command.ExecuteScalarAsync())!;
    }

    // What jsonb does not take matches nothing.
    private static async Task<bool> JudgeAsync(NpgsqlConnection connection, string document, string path)
    {
        await using var command = new NpgsqlCommand(Judge, connection);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = document });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = path });
        try
        {
            await using var reader = await command.ExecuteReaderAsync();
            await reader.ReadAsync();
            Assert.Equal(reader.GetBoolean(0), reader.GetBoolean(1));
            return reader.GetBoolean(0);
        }
        catch (PostgresException)
        {
            return false;
        }
    }
}
