using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace RuleEngineNats.Interop.Tests;

/// <summary>JSON bodies whose bytes a careless path would change: spacing, key order, escapes, long numbers, other scripts.</summary>
internal static class RandomBodies
{
    private static readonly JsonSerializerOptions Unescaped = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static readonly string[] Texts = ["grün", "日本語", "🎉🚀", "עברית", "a\"b\\c", "line\nbreak", "\u0001", "it's", "Ω≈ç√", "é"];

    public static byte[][] Make(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(number => Encoding.UTF8.GetBytes(Make(random, number)))];
    }

    private static string Make(Random random, int number)
    {
        var space = new string(' ', random.Next(3));
        var members = Enumerable.Range(0, random.Next(1, 8)).Select(member => $"\"{(char)('z' - member)}{member}\"{space}:{space}{Value(random)}");
        return $"{{{space}\"n\"{space}:{space}{number},{string.Join($",{space}", members)}{space}}}";
    }

    private static string Value(Random random) => random.Next(6) switch
    {
        0 => "9007199254740993",
        1 => "1.10",
        2 => "[1, 2,3 ]",
        3 => "\"\\u00fc\\/\"",
        4 => "null",
        _ => JsonSerializer.Serialize(string.Concat(Enumerable.Range(0, random.Next(1, 20)).Select(_ => Texts[random.Next(Texts.Length)])), Unescaped),
    };
}
