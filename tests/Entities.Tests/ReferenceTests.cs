using System.Reflection;
using System.Text.RegularExpressions;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.Entities.Tests;

/// <summary>docs/entity-reference.md says what is so.</summary>
public sealed partial class ReferenceTests
{
    private static readonly string Text = File.ReadAllText(Repository.Path("docs", "entity-reference.md"));

    public static TheoryData<int, string> Blocks
    {
        get
        {
            var blocks = new TheoryData<int, string>();
            foreach (Match block in YamlBlock().Matches(Text))
            {
                blocks.Add(Text[..block.Index].Count(character => character == '\n') + 1, block.Groups[1].Value);
            }

            return blocks;
        }
    }

    [Theory]
    [MemberData(nameof(Blocks))]
    public void Every_example_loads(int line, string yaml)
    {
        Assert.True(line > 1);
        Assert.NotEmpty(Catalogs.Of(yaml).Tables);
    }

    [Fact]
    public void The_two_forms_of_the_first_example_are_the_same()
    {
        var blocks = YamlBlock().Matches(Text).Take(2).Select(block => Catalogs.Of(block.Groups[1].Value)).ToArray();
        Assert.Equal(blocks[0].Version, blocks[1].Version);
        Assert.Equal(["orders: O1 | 12.50 | -"], blocks[0].Read("""{"order_key":"O1","total_price":12.50}""").Lines());
    }

    [Fact]
    public void Every_code_is_explained()
    {
        var codes = typeof(ViolationCodes).GetFields(BindingFlags.Public | BindingFlags.Static).Select(field => (string)field.GetRawConstantValue()!).ToArray();
        Assert.NotEmpty(codes);
        Assert.DoesNotContain(codes, code => !Text.Contains($"`{code}`", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("Definitions/LegacyForm.cs")]
    [InlineData("Definitions/V1Form.cs")]
    [InlineData("Definitions/ReadDefinition.cs")]
    public void Every_key_is_explained(string file)
    {
        var keys = KeyRead().Matches(File.ReadAllText(Repository.Path("services", "Entities", file))).Select(match => match.Groups[1].Value).Distinct().ToArray();
        Assert.NotEmpty(keys);
        Assert.DoesNotContain(keys, key => !Regex.IsMatch(Text, $@"\b{key}\b"));
    }

    [GeneratedRegex("```yaml\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex YamlBlock();

    [GeneratedRegex("""\.(?:Word|Required|Flag|Number|Section|Sections|Words|Nodes|Node)\("(\w+)"\)""")]
    private static partial Regex KeyRead();
}
