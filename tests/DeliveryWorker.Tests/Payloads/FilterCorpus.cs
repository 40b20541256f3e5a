using System.Globalization;

namespace RuleEngineNats.DeliveryWorker.Tests.Payloads;

/// <summary>Paths and documents, made at random from a fixed seed out of few names and values, so that paths often meet what they look for.</summary>
internal sealed class FilterCorpus(int seed)
{
    private static readonly string[] Names = ["a", "b", "\"c d\"", "\"ü\"", "\"a\\\"\\\\\"", "a"];

    private static readonly string[] Literals =
    [
        "0", "1", "2", "-1", "1.0", "1.50", "9007199254740993", "9007199254740992", "1e2", "0.1", "null", "true", "false",
        "\"\"", "\"x\"", "\"xy\"", "\"ü\"", "\"\\ud83d\\ude00\"", "\"\ufffd\"", "\"1\"", "123456789012345678901234567890",
    ];

    private static readonly string[] Patterns = ["^x", "x$", "^.$", "[a-z]+", "\\\\d{1,3}", "(x|y)*z?", "[^x]"];

    private static readonly string[] Foreign =
    [
        ".*", ".**", ".**{2}", "[last]", "[0,1]", "[0 to 1]", "[$.a]", ".size()", ".type()", ".double()", "-", "+ 1 ==", "* 2 >", "$x", "strict $", "last", "is unknown ==",
        "(@ == 1)", "(($.a))", "[1].b", "exists ", "1.5e3", "-2", "\"\\u00fc\"", "/* x */", "true", "?(@ == 1)", "[ 0 ]", ". a", "||", "",
    ];

    private readonly Random _random = new(seed);

    /// <summary>Documents that random ones would hardly come to.</summary>
    public static IEnumerable<string> Hostile { get; } =
    [
        "1", "\"x\"", "null", "true", "[]", "{}", "[[1]]", "[[[1]],[2]]", """{"a":1,"a":2}""", """{"a":{"b":1},"a":{"b":[1,2]}}""", """[{"a":1},{"a":[1,{"b":2}]}]""",
        """{"a":1.00}""", """{"a":100e-2}""", """{"a":0.01e2}""", """{"a":-0}""", """{"a":-0.0e5}""", """{"a":9007199254740993}""", """{"a":9007199254740992.0000000000000000001}""",
        """{"a":1e400}""", """{"a":-1e400}""", """{"a":1e131071}""", """{"a":1e131072}""", """{"a":1e-16383}""", """{"a":1e-16384}""", """{"a":0e131072}""",
        """{"a":1e999999999999}""", """{"a":"\u0000"}""", """{"a":"\ud800"}""", """{"a":"\ud83d\ude00"}""", """{"a":"😀"}""", """{"\u0061":1}""", """{"c d":"x","ü":"ü"}""",
        """{"a\"\\":1}""", "{\"a\":\"x\ny\"}", """{"a":"x\ny"}""", "{\"a\":1}\n ", "{\"a\":1,}", "{'a':1}", "[1,2", "", " ", "nul", "{\"a\":01}", "{\"a\":+1}", "{\"a\":.5}",
        "\ufeff{\"a\":1}", "{\"a\":1} x", """{"a":null,"b":[null,1,"1",true]}""", """{"a":[],"b":{}}""", "{\"a\":\"\u007f\u0080\u2028\"}", "{\"a\":NaN}",
        string.Concat(Enumerable.Repeat("[", 900)) + "1" + string.Concat(Enumerable.Repeat("]", 900)),
        string.Concat(Enumerable.Repeat("{\"a\":", 900)) + "1" + string.Concat(Enumerable.Repeat("}", 900)),
        "[" + string.Join(',', Enumerable.Range(0, 100).Select(number => number.ToString(CultureInfo.InvariantCulture))) + "]",
    ];

    public string Path() => _random.Next(4) == 0 ? Path("$", 3) : Condition("$", 3);

    /// <summary>A path in which parts of the language may stand that filters do not have.</summary>
    public string AnyPath()
    {
        var path = Path();
        return _random.Next(3) == 0
            ? path
            : path.Replace(Pick([".a", "[*]", "$", "@", "==", "1", "exists", "?", "&& "]), Pick(Foreign), StringComparison.Ordinal);
    }

    public string Document() => Value(4);

    private string Condition(string from, int depth)
    {
        var inner = depth - 1;
        return _random.Next(depth > 0 ? 10 : 5) switch
        {
            0 => $"{Path(from, inner)} starts with {Pick(["\"x\"", "\"\"", "\"ü\""])}",
            1 => $"{Path(from, inner)} like_regex \"{Pick(Patterns)}\"{Pick([" flag \"i\"", " flag \"s\"", " flag \"m\"", "", ""])}",
            2 => $"exists ({Path(from, inner)})",
            3 or 4 => $"{Path(from, inner)} {Operator()} {Pick(Literals)}",
            5 => $"!({Condition(from, inner)})",
            6 => $"({Condition(from, inner)} && {Condition(from, inner)})",
            7 => $"({Condition(from, inner)} || {Condition(from, inner)})",
            8 => $"{Pick(Literals)} {Operator()} {Path(from, inner)}",
            _ => $"{Path(from, inner)} {Operator()} {Path(_random.Next(2) == 0 ? "$" : from, inner)}",
        };
    }

    private string Path(string from, int depth)
    {
        var path = from;
        for (var count = _random.Next(4); count > 0; count--)
        {
            path += _random.Next(depth > 0 ? 7 : 5) switch
            {
                0 => "[*]",
                1 => $"[{_random.Next(3)}]",
                2 or 3 or 4 => "." + Pick(Names),
                _ => $" ? ({Condition("@", depth - 1)})",
            };
        }

        return path;
    }

    private string Value(int depth)
    {
        var kind = _random.Next(depth > 0 ? 5 : 2);
        var count = _random.Next(4);
        return kind switch
        {
            2 or 3 => "{" + string.Join(',', Enumerable.Range(0, count).Select(_ => $"{Quoted(Pick(Names))} : {Value(depth - 1)}")) + "}",
            4 => "[" + string.Join(", ", Enumerable.Range(0, count).Select(_ => Value(depth - 1))) + "]",
            _ => Pick(Literals),
        };
    }

    private static string Quoted(string name) => name.StartsWith('"') ? name : $"\"{name}\"";

    private string Operator() => Pick(["==", "!=", "<>", "<", "<=", ">", ">="]);

    private string Pick(string[] from) => from[_random.Next(from.Length)];
}
