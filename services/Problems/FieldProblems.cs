using System.Globalization;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.Problems;

/// <summary>Collects the problems of a request, so that a client learns of all of them at once.</summary>
internal sealed class FieldProblems
{
    private readonly List<FieldProblem> _problems = [];

    public Problem? ToProblem() => _problems.Count == 0 ? null : Problem.OfFields(_problems);

    public void Add(string code, string field, string message, string fix, double? limit = null)
        => _problems.Add(new FieldProblem(code, field, message, fix) { Limit = limit });

    /// <summary>For a field that has no default. One that was given with the wrong type is not reported twice.</summary>
    public void Required(string field, object? value)
    {
        if (value is null && !_problems.Exists(problem => problem.Field == field))
        {
            Add("required", field, $"{field} is required", "Give a value.");
        }
    }

    public void NotNull<T>(RequestBody<T> body, string field, object? value)
        where T : class
    {
        if (value is null && body.Has(field))
        {
            Add("required", field, $"{field} must not be null", "Give a value, or leave it out.");
        }
    }

    public void Range(string field, double? value, double minimum, double maximum)
    {
        if (!(value is null || (value >= minimum && value <= maximum)))
        {
            Add("out_of_range", field, string.Create(CultureInfo.InvariantCulture, $"must be {minimum} to {maximum}"), "Give a value in that range.",
                value < minimum ? minimum : maximum);
        }
    }

    /// <summary>Characters are counted as PostgreSQL counts them: by code point.</summary>
    public void Text(string field, string? value, int maximum, bool lines = false, int minimum = 1)
    {
        if (value is null)
        {
            return;
        }

        if (string.IsNullOrWhiteSpace(value) && minimum > 0)
        {
            Add("invalid_value", field, "must not be empty", "Give a value.");
        }
        else if (value.EnumerateRunes().Count() > maximum)
        {
            Add("too_long", field, $"longer than {maximum} characters", "Shorten it.", maximum);
        }
        else if (value.Any(character => char.IsControl(character) && !(lines && character is '\n' or '\r' or '\t')))
        {
            Add("invalid_value", field, "has a control character", "Take it out.");
        }
    }

    public void OneOf(string field, string? value, params ReadOnlySpan<string> allowed)
    {
        if (value is not null && !allowed.Contains(value))
        {
            Add("invalid_value", field, $"must be {string.Join(", ", allowed.ToArray())}", "Give one of these.");
        }
    }

    public void Subject(string field, string? value, bool allowWildcards)
    {
        if (value is not null && SubjectRules.Check(value, allowWildcards) is { } problem)
        {
            Add("invalid_subject", field, problem.ToString(), FixOf(problem),
                problem.Reason switch { SubjectProblem.TooLong => SubjectRules.MaxBytes, SubjectProblem.TooManyTokens => SubjectRules.MaxTokens, _ => null });
        }
    }

    private static string FixOf(SubjectProblem problem) => problem.Reason switch
    {
        SubjectProblem.Reserved => "Begin with a token of your own; $ and _INBOX belong to the server.",
        SubjectProblem.Wildcard => "Publish to a literal subject; wildcards are for filters, as tokens of their own and > at the end.",
        _ => "Tokens of A-Z, a-z, 0-9, _ and - with single dots between: at most 16 tokens and 255 bytes.",
    };
}
