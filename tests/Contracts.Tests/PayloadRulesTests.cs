using System.Globalization;
using System.Text;
using Xunit;

namespace RuleEngineNats.Contracts.Tests;

public sealed class PayloadRulesTests
{
    [Theory]
    [InlineData("{}")]
    [InlineData("null")]
    [InlineData(" [1, 2] \n")]
    [InlineData("9007199254740993")]
    [InlineData("1e308")]
    [InlineData("-0.5E-308")]
    [InlineData("\"\\ud83d\\ude00\"")]
    [InlineData("\"\\\\u0000\"")]
    [InlineData("""{"a":{"a":1},"b":[{"a":1},{"a":2}]}""")]
    [InlineData("""{"__proto__":1,"$type":"x"}""")]
    public void One_json_value_is_fine(string json) => Assert.Null(Check(json));

    [Theory]
    [InlineData("", PayloadProblemKind.Empty, "empty", 0)]
    [InlineData("{} x", PayloadProblemKind.Invalid, "not a single JSON value", 3)]
    [InlineData("{}{}", PayloadProblemKind.Invalid, "not a single JSON value", 2)]
    [InlineData("\ufeff{}", PayloadProblemKind.Invalid, "byte order mark", 0)]
    [InlineData("\"\\u0000\"", PayloadProblemKind.Invalid, "NUL character", 1)]
    [InlineData("""{"ab\u0000":1}""", PayloadProblemKind.Invalid, "NUL character", 4)]
    [InlineData("\"x\\ud800\"", PayloadProblemKind.Invalid, "lone surrogate", 2)]
    [InlineData("\"\\udc00\\ud800\"", PayloadProblemKind.Invalid, "lone surrogate", 1)]
    [InlineData("\"\\ud800\\n\"", PayloadProblemKind.Invalid, "lone surrogate", 1)]
    [InlineData("[1,1e309]", PayloadProblemKind.Invalid, "number out of range", 3)]
    [InlineData("1e-309", PayloadProblemKind.Invalid, "number out of range", 0)]
    [InlineData("1e131071", PayloadProblemKind.Invalid, "number out of range", 0)]
    [InlineData("1e99999999999999999999", PayloadProblemKind.Invalid, "number out of range", 0)]
    [InlineData("""{"a":1,"a":2}""", PayloadProblemKind.Invalid, "name given twice in one object", 7)]
    [InlineData("""{"a":1,"\u0061":2}""", PayloadProblemKind.Invalid, "name given twice in one object", 7)]
    public void Anything_else_is_refused_with_the_byte(string json, PayloadProblemKind kind, string reason, int position)
    {
        var problem = Check(json);

        Assert.Equal(new PayloadProblem(kind, reason, position), problem);
        Assert.Equal($"payload: {reason} at byte {position}", problem!.ToString());
    }

    [Theory]
    [InlineData("{")]
    [InlineData("NaN")]
    [InlineData("Infinity")]
    [InlineData("01")]
    [InlineData("+1")]
    [InlineData(".5")]
    [InlineData("[1,]")]
    [InlineData("/* c */ 1")]
    [InlineData("// c\n1")]
    [InlineData("{'a':1}")]
    [InlineData("\"\n\"")]
    [InlineData("\"\\x\"")]
    [InlineData("   ")]
    public void What_is_no_json_is_refused(string json) => Assert.Equal("not a single JSON value", Check(json)!.Reason);

    [Fact]
    public void Bytes_that_are_no_utf8_are_refused_where_they_are()
    {
        Assert.Equal(new PayloadProblem(PayloadProblemKind.Invalid, "not valid UTF-8", 3), PayloadRules.Check([(byte)'"', 0xc3, 0xbc, 0xff, (byte)'"'], 1000));
        Assert.NotNull(PayloadRules.Check([(byte)'"', 0xed, 0xa0, 0x80, (byte)'"'], 1000));
    }

    [Fact]
    public void It_is_at_most_64_deep()
    {
        Assert.Null(Check(new string('[', 64) + new string(']', 64)));
        Assert.Equal(new PayloadProblem(PayloadProblemKind.Invalid, "nested deeper than 64", 64), Check(new string('[', 65) + new string(']', 65)));
        Assert.Equal("nested deeper than 64", Check(string.Concat(Enumerable.Repeat("""{"a":""", 20_000)))!.Reason);
    }

    [Fact]
    public void A_number_has_at_most_64_characters()
    {
        Assert.Null(Check(new string('1', 64)));
        Assert.Equal("number longer than 64 characters", Check(new string('1', 65))!.Reason);
    }

    [Fact]
    public void Exactly_the_limit_is_fine_and_one_more_is_not()
    {
        var body = "\"" + new string('x', 98) + "\"";

        Assert.Null(PayloadRules.Check(Encoding.UTF8.GetBytes(body), 100));
        Assert.Equal(PayloadProblemKind.TooLarge, PayloadRules.Check(Encoding.UTF8.GetBytes(body), 99)!.Kind);
    }

    [Fact]
    public void Many_names_are_told_apart_and_too_many_are_refused()
    {
        Assert.Null(PayloadRules.Check(ObjectOf(50_000), 10_000_000));
        Assert.Equal(PayloadProblemKind.TooLarge, PayloadRules.Check(Objects(50_001), 10_000_000)!.Kind);

        // A large body may have more: one for each 16 bytes.
        byte[] large = [.. Objects(60_000), .. Enumerable.Repeat((byte)' ', 480_000)];
        Assert.Null(PayloadRules.Check(large, 10_000_000));
    }

    private static byte[] ObjectOf(int properties)
        => Encoding.UTF8.GetBytes("{" + string.Join(',', Enumerable.Range(0, properties).Select(number => string.Create(CultureInfo.InvariantCulture, $"\"property-{number}\":{number}"))) + "}");

    private static byte[] Objects(int count) => Encoding.UTF8.GetBytes($"[{string.Join(',', Enumerable.Repeat("{\"a\":1}", count))}]");

    private static PayloadProblem? Check(string json) => PayloadRules.Check(Encoding.UTF8.GetBytes(json), 1_000_000);
}
