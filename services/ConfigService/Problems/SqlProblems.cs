using Npgsql;
using RuleEngineNats.Messaging;
using RuleEngineNats.Problems;

namespace RuleEngineNats.ConfigService.Problems;

/// <summary>The one place that turns what PostgreSQL says into what the client is told; the table is in sql/README.md.</summary>
internal static class SqlProblems
{
    public static Problem From(PostgresException exception) => exception.SqlState switch
    {
        PostgresErrorCodes.UniqueViolation when exception.ConstraintName == "rule_webhooks_webhook_name_key" => Conflict(
            "webhook_exists", "name", "A webhook with this name exists.", "Choose another name, or PATCH the webhook that has it."),
        PostgresErrorCodes.UniqueViolation => Problem.Of(409, "already_exists", exception.MessageText, "Choose another name, or change what exists."),
        PostgresErrorCodes.ForeignKeyViolation => Problem.Of(409, "in_use", exception.MessageText, "Something still refers to it, or what it refers to is gone."),
        PostgresErrorCodes.ObjectNotInPrerequisiteState => Problem.Of(409, "conflict", exception.MessageText, "Bring what exists into the state the message asks for, then try again."),
        PostgresErrorCodes.NoDataFound => Problem.NotFound("not_found", exception.MessageText, "Check the name or the id."),
        PostgresErrorCodes.ProgramLimitExceeded => Problem.Of(413, FieldProblem.TooLarge, exception.MessageText, "Send less."),
        PostgresErrorCodes.InvalidParameterValue => Invalid(exception.MessageText),
        PostgresErrorCodes.CheckViolation => Problem.Of(400, "invalid_value", $"A value is outside of what {exception.ConstraintName} allows.", "See the OpenAPI document for the limits."),
        // Everything of class 22 is a value that the database cannot take; 23502 is one that is missing.
        PostgresErrorCodes.NotNullViolation => Problem.Of(400, "required", $"{exception.ColumnName} must not be null.", "Give a value."),
        { } state when state.StartsWith("22", StringComparison.Ordinal) => Problem.Of(400, "invalid_value", exception.MessageText, "See the OpenAPI document for the limits."),
        { } state when IsTransient(state) => Unavailable(exception.MessageText),
        _ => Unexpected(),
    };

    public static Problem Unavailable(string reason) => Problem.Of(
        503, "database_unavailable", $"PostgreSQL did not answer: {reason}", "Try again after the time in Retry-After; nothing was changed unless a repeat says it exists.");

    public static Problem Unexpected() => Problem.Of(
        500, "internal_error", "The request failed for a reason that is not in the request.", "Look up the trace id in the logs of the configuration service.");

    /// <summary>Whether the same statement may succeed in a moment.</summary>
    public static bool IsTransient(string state) => state.AsSpan(0, 2) is "08" or "53" or "57" or "58" or "40" || state is PostgresErrorCodes.LockNotAvailable;

    private static Problem Conflict(string code, string field, string message, string fix)
        => Problem.Of(409, code, message, fix, new FieldProblem(code, field, message, fix));

    private static string? Setting(string message)
        => message.IndexOf(": ", StringComparison.Ordinal) is var end and > 0 && DeliverySettings.ToCamelCase(message[..end]) is var name
            && ConfigJson.Default.DeliverySettings.Properties.Any(property => property.Name == name)
            ? name : null;

    // An argument of a function is the field of that name here.
    private static string? Argument(string message)
        => message.StartsWith("p_", StringComparison.Ordinal) && message.IndexOf(": ", StringComparison.Ordinal) is var end and > 2 ? DeliverySettings.ToCamelCase(message[2..end]) : null;

    // The messages of the validation functions begin with what they are about.
    private static Problem Invalid(string message)
    {
        var (code, field) = message switch
        {
            _ when message.StartsWith("subject: ", StringComparison.Ordinal) => ("invalid_subject", "subject"),
            _ when message.StartsWith("url_not_allowed: ", StringComparison.Ordinal) => ("url_not_allowed", "url"),
            _ when message.StartsWith("headers", StringComparison.Ordinal) => ("invalid_header", "headers"),
            _ when Argument(message) is { } argument => ("invalid_value", argument),
            _ when Setting(message) is { } setting => ("invalid_value", setting),
            _ => ("invalid_value", string.Empty),
        };
        const string Fix = "See the OpenAPI document for what is allowed.";
        return field.Length == 0 ? Problem.Of(400, code, message, Fix) : Problem.OfFields([new FieldProblem(code, field, message, Fix)]);
    }
}
