using System.Text;
using System.Text.Json;
using Npgsql;
using RuleEngineNats.DeliveryWorker.Payloads;
using RuleEngineNats.Messaging;
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

    [Theory]
    [InlineData("C")]
    [InlineData("C.UTF-8")]
    public async Task Patterns_of_like_regex_match_the_same_texts_in_every_locale(string locale)
    {
        await using var database = await WithLocaleAsync(locale);
        string[] patterns =
        [
            "a", "^a", "a$", "^a$", "^$", "a.b", ".", "^.$", "^..$", "[ab]", "[^ab]", "^[^ab]$", "[a-c]+", "^[a-z-]+$", "[-a]", @"\d", @"^\d+$", @"\w", @"^\w+$", @"\s", @"^\s$", @"a\.b",
            @"a\nb", @"\t", "a|b", "^(a|b)$", "(ab)*c", "(?:ab)+", "a{2}", "^a{1,2}$", "^a{2,}$", "a?b", @"[\d\s]", @"[^\d]", @"^[\.\-\]]$", "^ü$", "[ä-ü]", "^😀$", "😀+$", "^[^x]$", "a^b", "a$b", "()", "a|", "K", "[k-m]",
            @"\\", @"[\\]", @"\$\^", "^(a+)+$", "(a*)*b", "/", "'", "\"", "#", "[#]", "~", "a&&b", "[a&&b]", "[a-z&&x]", "x{0}", "^x{0,0}$", "ſ", @"[-\d]", @"^[\w.]+$", @"[\n\t]", @"\v|\f", @"[!-\/]",
        ];
        string[] texts =
        [
            "", "a", "b", "ab", "abab", "A", "AB", "a\nb", "\n", "a\n", "\na", "a\n\nb", "b\na", "a.b", "a-b", "-", "]", ".", "1", "12", "a1", "_", " ", "\t", "\u00a0", "\u2028", "\r", "aa", "aaa", "ü", "Ü", "ä", "😀", "😀😀", "x😀",
            "\uffff", "K", "\u212a", "k", "K", "l", "٣", "\\", "$^", "/'\"#~&", "ababc", "x", "ſ", "s", "\u0085", "\v", "a&&b", "&",
        ];
        var wrong = new List<string>();
        var pairs = 0;
        await using var connection = await database.OpenConnectionAsync();
        foreach (var flags in (string[])["", "i", "s", "m", "ims"])
        {
            foreach (var pattern in patterns.Where(pattern => !flags.Contains('i') || Ascii.IsValid(pattern)))
            {
                var path = await CanonicalAsync(connection, $"$ like_regex {JsonSerializer.Serialize(pattern)} flag \"{flags}\"");
                var filter = ContentFilter.Compile(path);
                var documents = texts.Select(text => JsonSerializer.Serialize(text)).ToArray();
                foreach (var (document, expected) in documents.Zip(await JudgeAsync(connection, documents, path)))
                {
                    pairs++;
                    if (expected != Matches(filter, Encoding.UTF8.GetBytes(document)))
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
    [InlineData(@"[a-\d]")]
    [InlineData(@"[\t-x]")]
    [InlineData("[z-a]")]
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

    [Fact]
    public async Task What_is_let_in_is_understood_and_is_let_in_again()
    {
        var corpus = new FilterCorpus(seed: 21);
        var (taken, refused) = (0, 0);
        await using var connection = await (await Database.Value).OpenConnectionAsync();
        for (var round = 0; round < 2000; round++)
        {
            var path = corpus.AnyPath();
            try
            {
                var canonical = await CanonicalAsync(connection, path);
                Assert.Equal(canonical, await CanonicalAsync(connection, canonical));
                ContentFilter.Compile(canonical);
                taken++;
            }
            catch (PostgresException e)
            {
                Assert.Equal("22023", e.SqlState);
                Assert.StartsWith("content_filter: ", e.MessageText, StringComparison.Ordinal);
                refused++;
                // What is refused although PostgreSQL understands it is refused by the worker too, in the form that PostgreSQL prints.
                if (await PrintedAsync(connection, path) is { } printed)
                {
                    Assert.Throws<FormatException>(() => ContentFilter.Compile(printed));
                }
            }
        }

        Assert.True(taken > 300 && refused > 300, $"{taken} taken, {refused} refused");
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

    private static async Task<string?> PrintedAsync(NpgsqlConnection connection, string path)
    {
        try
        {
            await using var command = new NpgsqlCommand("SELECT $1::jsonpath::text", connection);
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = path });
            return (string)(await command.ExecuteScalarAsync())!;
        }
        catch (PostgresException)
        {
            return null;
        }
    }

    // The functions alone, in a database whose characters are classed by another locale than that of the server.
    private static async Task<NpgsqlDataSource> WithLocaleAsync(string locale)
    {
        var server = await PostgresServer.StartAsync();
        var name = "filters_" + locale.Replace(".", "_", StringComparison.Ordinal).Replace("-", "_", StringComparison.Ordinal).ToLowerInvariant();
        await using var postgres = NpgsqlDataSource.Create(server.ConnectionString("postgres") + ";Pooling=false");
        await using (var create = postgres.CreateCommand($"CREATE DATABASE {name} LOCALE '{locale}' TEMPLATE template0"))
        {
            await create.ExecuteNonQueryAsync();
        }

        var database = NpgsqlDataSource.Create(server.ConnectionString(name) + ";Pooling=false");
        await using var functions = database.CreateCommand(await File.ReadAllTextAsync(Repository.Path("sql", "functions", "36_payloads.sql")));
        await functions.ExecuteNonQueryAsync();
        return database;
    }

    private static async Task<bool[]> JudgeAsync(NpgsqlConnection connection, string[] documents, string path)
    {
        await using var command = new NpgsqlCommand(
            "SELECT array_agg(rule_webhook_filter_matches($2::jsonpath, d.document::jsonb) ORDER BY d.n) FROM unnest($1) WITH ORDINALITY d(document, n)", connection);
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = documents });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = path });
        return (bool[])(await command.ExecuteScalarAsync())!;
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
