using RuleEngineNats.Messaging;

namespace RuleEngineNats.DeliveryWorker.Tests.Egress;

public sealed class TargetUrlTests
{
    [Theory]
    [InlineData("ftp://example.com/", "scheme")]
    [InlineData("file:///etc/passwd", "scheme")]
    [InlineData("gopher://example.com/", "scheme")]
    [InlineData("javascript:alert(1)", "scheme")]
    [InlineData("http://example.com/", "https only")]
    [InlineData("https://user:pass@example.com/", "user information")]
    [InlineData("https://example.com@127.0.0.1/", "user information")]
    [InlineData("https://example.com/#@127.0.0.1/", "fragment")]
    [InlineData("https://example.com/#x", "fragment")]
    [InlineData("https://example.com\\@127.0.0.1/", "backslash")]
    [InlineData("https://example.com:0/", "port")]
    [InlineData("https://example.com:22/", "port")]
    [InlineData("https://example.com:25/", "port")]
    [InlineData("https://example.com:5432/", "port")]
    [InlineData("https://example.com:4222/", "port")]
    [InlineData("https://example.com:8443/", "port")]
    [InlineData("https://example.com:99999/", "not an absolute URL")]
    [InlineData("https:///", "not an absolute URL")]
    [InlineData("/relative", "scheme")]
    [InlineData("relative", "not an absolute URL")]
    [InlineData("", "empty")]
    [InlineData(null, "empty")]
    [InlineData("https://2130706433/", "address is loopback")]
    [InlineData("https://0x7f000001/", "address is loopback")]
    [InlineData("https://0177.0.0.1/", "address is loopback")]
    [InlineData("https://127.1/", "address is loopback")]
    [InlineData("https://0/", "address is unspecified")]
    [InlineData("https://①②⑦.⓪.⓪.①/", "stands for another")]
    [InlineData("https://１２７.０.０.１/", "stands for another")]
    [InlineData("https://127。0。0。1/", "stands for another")]
    [InlineData("https://مثال١.example/", "host is no internationalized name")]
    [InlineData("https://example。com/", "stands for another")]
    [InlineData("https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/", "stands for another")]
    [InlineData("https://𝐥𝐨𝐜𝐚𝐥𝐡𝐨𝐬𝐭/", "stands for another")]
    [InlineData("https://[::1]/", "address is loopback")]
    [InlineData("https://[::ffff:127.0.0.1]/", "address is loopback")]
    [InlineData("https://[::ffff:a00:1]/", "address is private")]
    [InlineData("https://[64:ff9b::7f00:1]/", "address is translation")]
    [InlineData("https://[2002:7f00:1::]/", "address is tunnel")]
    [InlineData("https://[fe80::1%25eth0]/", "address is linklocal")]
    [InlineData("https://[fd00:ec2::254]/", "address is private")]
    [InlineData("https://[::]/", "address is unspecified")]
    [InlineData("https://[ff02::1]/", "address is multicast")]
    [InlineData("https://10.0.0.1/", "address is private")]
    [InlineData("https://172.16.0.1/", "address is private")]
    [InlineData("https://192.168.0.1/", "address is private")]
    [InlineData("https://100.64.0.1/", "address is carriergradenat")]
    [InlineData("https://169.254.169.254/latest/meta-data/", "address is linklocal")]
    [InlineData("https://192.0.0.8/", "address is protocol")]
    [InlineData("https://198.18.0.1/", "address is benchmark")]
    [InlineData("https://224.0.0.1/", "address is multicast")]
    [InlineData("https://240.0.0.1/", "address is reserved")]
    [InlineData("https://255.255.255.255/", "address is reserved")]
    [InlineData("https://203.0.113.1/", "address is documentation")]
    [InlineData("https://example.com/a\r\nHost: x", "control character")]
    [InlineData("https://exa\tmple.com/", "control character")]
    [InlineData(" https://example.com/", "whitespace")]
    public void A_url_that_is_not_allowed_says_why(string? url, string reason)
    {
        var target = TargetUrl.Check(url, new EgressOptions());

        Assert.Null(target.Uri);
        Assert.StartsWith("url_not_allowed: ", target.Problem, StringComparison.Ordinal);
        Assert.Contains(reason, target.Problem, StringComparison.Ordinal);
    }

    // One URL that throws would leave the worker without any routes.
    [Fact]
    public void Whatever_the_host_is_the_check_comes_to_an_end()
    {
        var random = new Random(4);
        for (var round = 0; round < 20_000; round++)
        {
            var host = string.Concat(Enumerable.Range(0, random.Next(1, 12)).Select(_ => random.Next(4) == 0 ? (char)random.Next(0x20, 0x7f) : (char)random.Next(0x80, 0xffff)));
            var target = TargetUrl.Check($"https://{host}/", new EgressOptions());
            Assert.True(target.Uri is null != target.Problem is null);
        }
    }

    [Fact]
    public void A_url_of_more_than_2048_characters_is_refused()
    {
        var longest = "https://example.com/" + new string('a', 2028);

        Assert.Null(TargetUrl.Check(longest, new EgressOptions()).Problem);
        Assert.Contains("2048", TargetUrl.Check(longest + "a", new EgressOptions()).Problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("https://example.com/hook?a=b&c=%20d")]
    [InlineData("https://example.com:443/")]
    [InlineData("https://1.1.1.1/")]
    [InlineData("https://bücher.example/")]
    [InlineData("https://例え.テスト/")]
    [InlineData("https://नमस्ते.example/")]
    [InlineData("https://xn--bcher-kva.example/")]
    public void A_public_https_url_is_allowed(string url) => Assert.Null(TargetUrl.Check(url, new EgressOptions()).Problem);

    [Fact]
    public void Settings_allow_what_they_name()
    {
        Assert.Null(TargetUrl.Check("http://example.com/", new EgressOptions { AllowHttp = true }).Problem);
        Assert.Null(TargetUrl.Check("https://example.com:8443/", new EgressOptions { AllowedPorts = [8443] }).Problem);
        Assert.NotNull(TargetUrl.Check("https://example.com:8444/", new EgressOptions { AllowedPorts = [8443] }).Problem);
        Assert.Null(TargetUrl.Check("https://127.0.0.1:5001/", new EgressOptions { AllowLoopback = true, AllowAnyPort = true }).Problem);
        Assert.NotNull(TargetUrl.Check("https://example.com:0/", new EgressOptions { AllowAnyPort = true }).Problem);
        Assert.Null(TargetUrl.Check("https://10.1.2.3/", new EgressOptions { AllowPrivate = true }).Problem);
    }
}
