using RuleEngineNats.DeliveryWorker.Delivery;
using RuleEngineNats.DeliveryWorker.Tests.Delivery;
using RuleEngineNats.Messaging;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.DeliveryWorker.Tests.Egress;

public sealed class ProxyTests : IAsyncLifetime
{
    private WebhookReceiver _receiver = null!;

    public async Task InitializeAsync() => _receiver = await WebhookReceiver.StartAsync();

    public async Task DisposeAsync() => await _receiver.DisposeAsync();

    [Fact]
    public async Task Everything_goes_through_the_proxy_to_the_address_that_was_checked()
    {
        await using var proxy = TunnelProxy.Start();

        var outcome = await SendAsync(proxy.Url, "127.0.0.1");

        Assert.Equal(new DeliveryOutcome.Delivered(200), outcome);
        var head = Assert.Single(proxy.Heads);
        Assert.Equal($"CONNECT 127.0.0.1:{_receiver.Port} HTTP/1.1\r\nHost: 127.0.0.1:{_receiver.Port}\r\n\r\n", head);
        Assert.Equal($"hook.example:{_receiver.Port}", Assert.Single(_receiver.Requests).Headers["Host"]);
    }

    [Fact]
    public async Task A_blocked_address_does_not_reach_the_proxy()
    {
        await using var proxy = TunnelProxy.Start();

        Assert.Equal(new DeliveryOutcome.AddressBlocked(DeliveryStage.Connect, "address is private"), await SendAsync(proxy.Url, "10.0.0.1"));
        Assert.Equal(new DeliveryOutcome.Delivered(200), await SendAsync(proxy.Url, "127.0.0.1"));
        Assert.Single(proxy.Heads);
    }

    [Theory]
    [InlineData("HTTP/1.1 403 Forbidden\r\n\r\n", "proxy: 403")]
    [InlineData("HTTP/1.0 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", "proxy: 407")]
    [InlineData("SSH-2.0-OpenSSH_9.2\r\n\r\n", "proxy: no HTTP")]
    [InlineData("HTTP/1.1 200 O", "proxy: no HTTP")]
    [InlineData("", "proxy: no HTTP")]
    public async Task A_proxy_that_opens_no_tunnel_is_named(string answer, string reason)
    {
        await using var proxy = TunnelProxy.Start(answer: answer);

        Assert.Equal(new DeliveryOutcome.ConnectFailed(reason), await SendAsync(proxy.Url, "127.0.0.1"));
        Assert.Empty(_receiver.Requests);
    }

    [Fact]
    public async Task A_proxy_that_answers_without_end_or_is_away_is_named()
    {
        await using var proxy = TunnelProxy.Start(answer: "HTTP/1.1 200 OK\r\nX: " + new string('a', 10_000) + "\r\n\r\n");

        Assert.Equal(new DeliveryOutcome.ConnectFailed("proxy: no HTTP"), await SendAsync(proxy.Url, "127.0.0.1"));
        Assert.Equal(new DeliveryOutcome.ConnectFailed("proxy: ConnectionRefused"), await SendAsync($"http://127.0.0.1:{Ports.Free()}", "127.0.0.1"));
        Assert.Empty(_receiver.Requests);
    }

    private async Task<DeliveryOutcome> SendAsync(string proxy, string address)
    {
        var options = new EgressOptions { AllowLoopback = true, AllowHttp = true, AllowAnyPort = true, Proxy = proxy };
        using var client = new DeliveryClient(options, Requests.Resolving(address));
        var endpoint = new Endpoint(1, "hook") { Target = TargetUrl.Check($"http://hook.example:{_receiver.Port}/hook", options), Timeout = TimeSpan.FromSeconds(20) };
        return (await Requests.Slice(client).SendAsync(endpoint, Requests.Event(), 1, CancellationToken.None)).Outcome;
    }
}
