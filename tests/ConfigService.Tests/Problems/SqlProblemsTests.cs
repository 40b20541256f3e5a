using Npgsql;
using RuleEngineNats.ConfigService.Problems;

namespace RuleEngineNats.ConfigService.Tests.Problems;

public sealed class SqlProblemsTests
{
    [Theory]
    [InlineData("22023", "subject: wildcard at byte 2", 400, "invalid_subject")]
    [InlineData("22023", "url_not_allowed: no host", 400, "url_not_allowed")]
    [InlineData("22023", "headers[X]: reserved header", 400, "invalid_header")]
    [InlineData("22023", "p_hours must be 1..8760", 400, "invalid_value")]
    [InlineData("22003", "number out of range", 400, "invalid_value")]
    [InlineData("22021", "invalid byte sequence", 400, "invalid_value")]
    [InlineData("23502", "null value", 400, "required")]
    [InlineData("23514", "violates check constraint", 400, "invalid_value")]
    [InlineData("23505", "duplicate key", 409, "already_exists")]
    [InlineData("23503", "still referenced", 409, "in_use")]
    [InlineData("55000", "subjects overlap with those of stream X", 409, "conflict")]
    [InlineData("54000", "subjects: more than 64", 413, "too_large")]
    [InlineData("P0002", "NATS config x not found", 404, "not_found")]
    [InlineData("08006", "connection failure", 503, "database_unavailable")]
    [InlineData("53300", "too many connections", 503, "database_unavailable")]
    [InlineData("57P01", "terminating connection", 503, "database_unavailable")]
    [InlineData("57014", "canceling statement due to statement timeout", 503, "database_unavailable")]
    [InlineData("55P03", "lock not available", 503, "database_unavailable")]
    [InlineData("40P01", "deadlock detected", 503, "database_unavailable")]
    [InlineData("42501", "permission denied for table rule_webhooks", 500, "internal_error")]
    [InlineData("42703", "column does not exist", 500, "internal_error")]
    public void Each_state_has_one_answer(string state, string message, int status, string code)
    {
        var problem = SqlProblems.From(new PostgresException(message, "ERROR", "ERROR", state));
        Assert.Equal((status, code), (problem.Status, problem.Code));
        Assert.NotEmpty(problem.Fix!);
        if (status == 500)
        {
            Assert.DoesNotContain(message, problem.Detail, StringComparison.Ordinal);
        }
    }
}
