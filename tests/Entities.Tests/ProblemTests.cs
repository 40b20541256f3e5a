using RuleEngineNats.TestKit;

namespace RuleEngineNats.Entities.Tests;

/// <summary>
/// Every problem there is, with its place, its words and its fix. The cases are in Problems/*.txt: a title, definitions, and a line with <c>=&gt;</c> for
/// each problem; cases are separated by <c>====</c>.
/// </summary>
public sealed class ProblemTests
{
    public static TheoryData<string, string> Cases
    {
        get
        {
            var cases = new TheoryData<string, string>();
            foreach (var file in Directory.EnumerateFiles(Repository.Path("tests", "Entities.Tests", "Problems"), "*.txt").Order(StringComparer.Ordinal))
            {
                foreach (var text in File.ReadAllText(file).Split("====\n"))
                {
                    cases.Add($"{Path.GetFileNameWithoutExtension(file)}: {text[2..text.IndexOf('\n', StringComparison.Ordinal)]}", text);
                }
            }

            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void All_problems_are_reported_at_once_with_place_and_fix(string title, string text)
    {
        var lines = text.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        var yaml = string.Join('\n', lines.Skip(1).Where(line => !line.StartsWith("=>", StringComparison.Ordinal))) + "\n";
        var expected = lines.Where(line => line.StartsWith("=> ", StringComparison.Ordinal)).Select(line => $"test.yaml:{line[3..]}").ToList();

        var (catalog, problems) = EntityLoader.LoadText("test.yaml", yaml);

        Assert.NotEmpty(title);
        Assert.Equal(expected, problems.Select(problem => problem.ToString()));
        Assert.Equal(expected.Count == 0, catalog is not null);
    }
}
