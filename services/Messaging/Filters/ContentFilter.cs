using System.Text.Json;

namespace RuleEngineNats.Messaging;

/// <summary>
/// Which events an endpoint receives, or rows a capture brings, by their content; the answer is that of rule_webhook_filter_matches. A predicate has to be true (as <c>@@</c>), any
/// other path has to find something (as <c>@?</c>).
/// </summary>
internal sealed class ContentFilter
{
    private readonly FilterCondition _condition;

    private ContentFilter(FilterCondition condition)
    {
        _condition = condition;
        Visit(condition, isDocument: true);
    }

    /// <summary>The members of the document that it asks for.</summary>
    public HashSet<string> Members { get; } = [];

    /// <summary>Whether it has a like_regex, whose pattern rule_webhook_filter_check has to have seen.</summary>
    public bool HasRegex { get; private set; }

    /// <exception cref="FormatException">It is no filter, or has parts that are not implemented.</exception>
    public static ContentFilter Compile(string filter)
        => new(FilterParser.Parse(filter) switch
        {
            FilterPath path => new FilterCondition.Exists(path),
            var condition => (FilterCondition)condition,
        });

    /// <param name="body">The document, null for a body that is no JSON: nothing is found in it.</param>
    /// <exception cref="FilterTooCostlyException">The document makes it too much work.</exception>
    public bool Matches(JsonDocument? body)
        => body is not null && _condition.Test(new FilterScope(body.RootElement, body.RootElement, new FilterWork())) == true;

    // A filter within a path looks at what the path has reached: at the document before the first member.
    private void Visit(FilterCondition condition, bool isDocument)
    {
        switch (condition)
        {
            case FilterCondition.Or either:
                Visit(either.Left, isDocument);
                Visit(either.Right, isDocument);
                break;
            case FilterCondition.And both:
                Visit(both.Left, isDocument);
                Visit(both.Right, isDocument);
                break;
            case FilterCondition.Not not:
                Visit(not.Condition, isDocument);
                break;
            case FilterCondition.Exists exists:
                Visit(exists.Path, isDocument);
                break;
            case FilterCondition.Compare compare:
                Visit(compare.Left, isDocument);
                Visit(compare.Right, isDocument);
                break;
            case FilterCondition.StartsWith text:
                Visit(text.Operand, isDocument);
                break;
            case FilterCondition.LikeRegex regex:
                HasRegex = true;
                Visit(regex.Operand, isDocument);
                break;
        }
    }

    private void Visit(FilterOperand operand, bool isDocument)
    {
        if (operand is not FilterPath path)
        {
            return;
        }

        isDocument |= path.FromRoot;
        foreach (var step in path.Steps)
        {
            switch (step)
            {
                case FilterStep.Member member:
                    _ = isDocument && Members.Add(member.Name);
                    isDocument = false;
                    break;
                case FilterStep.Where where:
                    Visit(where.Condition, isDocument);
                    break;
            }
        }
    }
}
