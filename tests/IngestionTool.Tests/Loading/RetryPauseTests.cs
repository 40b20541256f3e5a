using RuleEngineNats.IngestionTool.Loading;
using Xunit;

namespace RuleEngineNats.IngestionTool.Tests.Loading;

public sealed class RetryPauseTests
{
    [Theory]
    [InlineData(1, null, 0.1)]
    [InlineData(3, null, 0.4)]
    [InlineData(1000, null, 5)]
    [InlineData(1, 0.0, 0.1)]
    [InlineData(9, 7.0, 7)]
    [InlineData(1, 3600.0, 60)]
    [InlineData(1, -5.0, 0.1)]
    public void It_is_what_the_api_asks_for_within_reason(int attempt, double? retryAfter, double seconds)
    {
        var wanted = retryAfter is { } asked ? TimeSpan.FromSeconds(asked) : (TimeSpan?)null;
        Assert.Equal(TimeSpan.FromSeconds(seconds), RetryPause.After(attempt, wanted, jitter: 0));
        Assert.Equal(TimeSpan.FromSeconds(seconds * 1.25), RetryPause.After(attempt, wanted, jitter: 1));
    }
}
