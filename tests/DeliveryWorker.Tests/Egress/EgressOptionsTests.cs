using System.Net;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.DeliveryWorker.Tests.Egress;

public sealed class EgressOptionsTests
{
    [Theory]
    [InlineData("10.1.2.3", true)]
    [InlineData("::ffff:10.1.2.3", true)]
    [InlineData("10.2.0.1", false)]
    [InlineData("fd00:1::5", true)]
    [InlineData("fd00:2::5", false)]
    [InlineData("100.64.7.1", true)]
    [InlineData("127.0.0.5", true)]
    [InlineData("127.0.0.1", false)]
    [InlineData("169.254.169.254", false)]
    [InlineData("64:ff9b::10.1.2.3", false)]
    [InlineData("1.1.1.1", true)]
    public void Listed_networks_are_allowed_and_nothing_beside_them(string address, bool allowed)
    {
        var options = new EgressOptions { AllowedNetworks = ["10.1.0.0/16", "fd00:1::/32", "100.64.0.0/10", "127.0.0.5/32"] };

        Assert.Equal(allowed, options.FindProblem(IPAddress.Parse(address)) is null);
        var host = address.Contains(':', StringComparison.Ordinal) ? $"[{address}]" : address;
        Assert.Equal(allowed, TargetUrl.Check($"https://{host}/", options).Problem is null);
    }

    [Theory]
    [InlineData("10.1.0.0", "is no network")]
    [InlineData("10.1.0.0/33", "is no network")]
    [InlineData("example.com/8", "is no network")]
    [InlineData("0.0.0.0/0", "is not private")]
    [InlineData("::/0", "is not private")]
    [InlineData("169.254.0.0/16", "is not private")]
    [InlineData("fe80::/10", "is not private")]
    [InlineData("8.8.8.0/24", "is not private")]
    [InlineData("::ffff:10.0.0.0/104", "is not private")]
    public void A_network_that_cannot_be_listed_is_refused(string network, string reason)
        => Assert.Contains($"Delivery:Egress:AllowedNetworks: {network} {reason}", Assert.Single(EgressOptionsRules.FindProblems(new() { AllowedNetworks = [network] })), StringComparison.Ordinal);

    [Theory]
    [InlineData("proxy:3128")]
    [InlineData("https://proxy:3128")]
    [InlineData("socks5://proxy:1080")]
    [InlineData("http://user:password@proxy:3128")]
    [InlineData("http://proxy:3128/path")]
    [InlineData("http://proxy:3128?x")]
    [InlineData("http://")]
    public void A_proxy_of_another_form_is_refused_without_being_repeated(string proxy)
        => Assert.Equal("Delivery:Egress:Proxy must be http://host:port without user information and path.", Assert.Single(EgressOptionsRules.FindProblems(new() { Proxy = proxy })));

    [Fact]
    public void Problems_come_all_at_once()
        => Assert.Equal(3, EgressOptionsRules.FindProblems(new() { AllowedPorts = [0], Proxy = "x", ConnectTimeout = TimeSpan.Zero }).Count());

    [Fact]
    public void The_defaults_and_a_proxy_are_sound()
    {
        Assert.Empty(EgressOptionsRules.FindProblems(new()));
        Assert.Empty(EgressOptionsRules.FindProblems(new() { Proxy = "http://proxy.internal:3128", AllowedNetworks = ["192.168.0.0/16"], AllowedPorts = [8443] }));
    }
}
