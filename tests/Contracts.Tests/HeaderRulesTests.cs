using Xunit;

namespace RuleEngineNats.Contracts.Tests;

public sealed class HeaderRulesTests
{
    [Theory]
    [InlineData("X-Tenant", "blue")]
    [InlineData("ce-type", "order.created")]
    [InlineData("CE-Subject", "order/5")]
    [InlineData("content-type", "application/json; charset=utf-8")]
    [InlineData("X-Empty", "")]
    public void An_ordinary_header_is_fine(string name, string value) => Assert.Null(HeaderRules.Check([new(name, value)]));

    [Theory]
    [InlineData("Nats-Msg-Id")]
    [InlineData("nats-expected-last-sequence")]
    [InlineData("Nats-TTL")]
    [InlineData("webhook-signature")]
    [InlineData("Webhook-Id")]
    [InlineData("rule-body-sha256")]
    [InlineData("ce-id")]
    [InlineData("ce-specversion")]
    [InlineData("ce-anything")]
    [InlineData("traceparent")]
    [InlineData("Connection")]
    [InlineData("Transfer-Encoding")]
    [InlineData("Content-Length")]
    [InlineData("Host")]
    [InlineData("Proxy-Authorization")]
    public void A_header_that_means_something_to_others_is_reserved(string name)
    {
        var problem = HeaderRules.Check([new(name, "x")]);

        Assert.Equal((HeaderProblemKind.Reserved, name), (problem!.Kind, problem.Name));
        Assert.Equal($"headers[{name}]: reserved header", problem.ToString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("X A")]
    [InlineData("X:A")]
    [InlineData("X-Ü")]
    [InlineData("X\r\nNats-Msg-Id")]
    [InlineData("X\u0000")]
    public void A_name_that_is_no_http_token_is_refused(string name)
    {
        var problem = HeaderRules.Check([new(name, "x")]);

        Assert.Equal(HeaderProblemKind.InvalidName, problem!.Kind);
        Assert.DoesNotContain('\n', problem.ToString());
    }

    [Theory]
    [InlineData("QQQ\nb")]
    [InlineData("QQQ\rb")]
    [InlineData("QQQ\u0000b")]
    [InlineData("QQQü")]
    [InlineData("QQQ\tb")]
    [InlineData(" QQQ")]
    [InlineData("QQQ ")]
    public void A_value_that_would_not_arrive_as_it_is_is_refused_and_not_repeated(string value)
    {
        var problem = HeaderRules.Check([new("X-A", value)]);

        Assert.Equal(HeaderProblemKind.InvalidValue, problem!.Kind);
        Assert.DoesNotContain("QQQ", problem.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Names_that_differ_in_case_alone_are_one_header_given_twice()
        => Assert.Equal(HeaderProblemKind.Duplicate, HeaderRules.Check([new("X-A", "1"), new("x-a", "2")])!.Kind);

    [Fact]
    public void There_are_at_most_64_headers()
    {
        KeyValuePair<string, string>[] headers = [.. Enumerable.Range(0, 65).Select(number => new KeyValuePair<string, string>($"X-{number}", "v"))];

        Assert.Null(HeaderRules.Check(headers[..64]));
        Assert.Equal(HeaderProblemKind.TooMany, HeaderRules.Check(headers)!.Kind);
    }

    [Fact]
    public void They_have_at_most_8_KiB_together()
    {
        Assert.Null(HeaderRules.Check([new("X-A", new string('v', (8 * 1024) - 7))]));
        Assert.Equal(HeaderProblemKind.TooLarge, HeaderRules.Check([new("X-A", new string('v', (8 * 1024) - 6))])!.Kind);
    }
}
