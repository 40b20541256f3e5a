using Xunit;

namespace RuleEngineNats.IngestionTool.Tests;

public sealed class DurationsTests
{
    [Theory]
    [InlineData("90s", 90)]
    [InlineData("10m", 600)]
    [InlineData("2h", 7200)]
    [InlineData("1d", 86400)]
    public void A_number_and_a_unit_is_a_duration(string text, int seconds) => Assert.Equal(TimeSpan.FromSeconds(seconds), Durations.Parse(text));

    [Theory]
    [InlineData("")]
    [InlineData("10")]
    [InlineData("0s")]
    [InlineData("-1s")]
    [InlineData("1.5h")]
    [InlineData("m")]
    [InlineData("99999999d")]
    public void Anything_else_is_none(string text) => Assert.Null(Durations.Parse(text));
}
