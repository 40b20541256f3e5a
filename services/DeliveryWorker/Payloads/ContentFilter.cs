using System.Text.Json;

namespace RuleEngineNats.DeliveryWorker.Payloads;

/// <summary>
/// Which events an endpoint receives by their content; the answer is that of rule_webhook_filter_matches. A predicate has to be true (as <c>@@</c>), any
/// other path has to find something (as <c>@?</c>).
/// </summary>
internal sealed class ContentFilter
{
    private readonly FilterCondition _condition;

    private ContentFilter(FilterCondition condition) => _condition = condition;

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
}
