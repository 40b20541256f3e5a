using System.Net;
using System.Net.Sockets;
using RuleEngineNats.DeliveryWorker.Delivery;
using RuleEngineNats.DeliveryWorker.Tests.Delivery;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.DeliveryWorker.Tests.Egress;

/// <summary>
/// I27: no form of a target that is not public is connected to. A listener on every address of this machine counts; the URLs lead to its port where their form has
/// room for one, and http and ports are allowed, so that nothing but the address stands between them and it.
/// </summary>
public sealed class BlockedTargetsTests : IAsyncLifetime
{
    private static readonly EgressOptions AnyPort = new() { AllowHttp = true, AllowAnyPort = true };

    private readonly TcpListener _listener = new(IPAddress.IPv6Any, 0);
    private int _connections;
    private Task _accepting = Task.CompletedTask;

    public Task InitializeAsync()
    {
        _listener.Server.DualMode = true;
        _listener.Start();
        _accepting = AcceptAsync();
        return Task.CompletedTask;
    }

    public async Task DisposeAsync()
    {
        _listener.Stop();
        await _accepting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    [Fact]
    public async Task No_literal_form_of_a_blocked_address_is_connected_to()
    {
        var hosts = Hosts().Distinct(StringComparer.Ordinal).ToArray();
        Assert.True(hosts.Length >= 150, $"{hosts.Length} forms");

        // Not even what cannot be written as a host any more may be looked up elsewhere: every name leads to this machine.
        await AssertBlockedAsync(hosts.Select(host => $"http://{host}:{Port}/"), AnyPort, Requests.Resolving("127.0.0.1"));
        await AssertNothingCameAsync();
    }

    [Fact]
    public async Task No_other_trick_of_a_url_is_connected_to()
    {
        var urls = Tricks().ToArray();
        Assert.True(urls.Length >= 40, $"{urls.Length} forms");

        await AssertBlockedAsync(urls, new EgressOptions(), Requests.Resolving("127.0.0.1"));
        await AssertNothingCameAsync();
    }

    [Fact]
    public async Task No_name_that_leads_to_a_blocked_address_is_connected_to()
    {
        (string Name, string[] Answers)[] names =
        [
            ("localhost", ["127.0.0.1"]), ("localhost.", ["127.0.0.1"]), ("LOCALHOST", ["::1"]), ("a.localhost", ["127.0.0.1"]),
            ("cname-to-localhost.example", ["127.0.0.1", "::1"]), ("127.0.0.1.nip.example", ["127.0.0.1"]), ("127.0.0.1.", ["127.0.0.1"]),
            ("mixed.example", ["203.0.114.1", "127.0.0.1"]), ("mixed-last.example", ["203.0.114.1", "203.0.114.2", "::ffff:127.0.0.1"]),
            ("mixed-first.example", ["127.0.0.1", "203.0.114.1"]), ("mixed-v6.example", ["2606:4700::1111", "::1"]),
            ("metadata.example", ["169.254.169.254"]), ("metadata-v6.example", ["fd00:ec2::254"]), ("scoped.example", ["fe80::1%1"]),
            ("nat64.example", ["64:ff9b::7f00:1"]), ("mapped.example", ["::ffff:127.0.0.1"]), ("six-to-four.example", ["2002:7f00:1::"]),
            ("teredo.example", ["2001::7f00:1"]), ("compatible.example", ["::127.0.0.1"]), ("any.example", ["0.0.0.0"]), ("any-v6.example", ["::"]),
            ("broadcast.example", ["255.255.255.255"]), ("multicast.example", ["ff02::1"]), ("cgnat.example", ["100.64.0.1"]), ("none.example", []),
        ];
        foreach (var (name, answers) in names)
        {
            var outcome = await SendAsync($"http://{name}:{Port}/", AnyPort, Requests.Resolving(answers));
            Assert.Equal(answers.Length == 0 ? "connect_failed" : "address_blocked", outcome.Code);
        }

        await AssertNothingCameAsync();
    }

    // The answer that was checked is the one that is used: through a proxy it can be seen which that is.
    [Fact]
    public async Task A_name_that_changes_between_check_and_connection_gains_nothing()
    {
        await using var proxy = TunnelProxy.Start(refuseWith: "502 Bad Gateway");
        var answers = new Queue<string>(["203.0.114.1", "127.0.0.1", "127.0.0.1"]);
        var asked = 0;
        Task<IPAddress[]> Rebinding(string host, CancellationToken cancellationToken)
        {
            asked++;
            return Task.FromResult<IPAddress[]>([IPAddress.Parse(answers.Dequeue())]);
        }

        var options = new EgressOptions { AllowHttp = true, AllowAnyPort = true, Proxy = proxy.Url };
        var first = await SendAsync($"http://rebinding.example:{Port}/", options, Rebinding);
        Assert.Equal(1, asked);
        var second = await SendAsync($"http://rebinding.example:{Port}/", options, Rebinding);

        Assert.Equal(new DeliveryOutcome.ConnectFailed("proxy: 502"), first);
        Assert.Equal(new DeliveryOutcome.AddressBlocked(DeliveryStage.Connect, "address is loopback"), second);
        Assert.Equal([$"203.0.114.1:{Port}"], proxy.Targets);
        await AssertNothingCameAsync();
    }

    private static async Task AssertBlockedAsync(IEnumerable<string> urls, EgressOptions options, Func<string, CancellationToken, Task<IPAddress[]>> resolve)
    {
        var passed = new List<string>();
        foreach (var url in urls)
        {
            if (await SendAsync(url, options, resolve) is not { Code: "address_blocked", IsFinal: true })
            {
                passed.Add(url);
            }
        }

        Assert.Empty(passed);
    }

    private static async Task<DeliveryOutcome> SendAsync(string url, EgressOptions options, Func<string, CancellationToken, Task<IPAddress[]>> resolve)
    {
        using var client = new DeliveryClient(options, resolve);
        var endpoint = new Endpoint(1, "target") { Target = TargetUrl.Check(url, options), Timeout = TimeSpan.FromSeconds(5) };
        return (await Requests.Slice(client).SendAsync(endpoint, Requests.Event(), 1, CancellationToken.None)).Outcome;
    }

    // What comes last must arrive, and be the only one.
    private async Task AssertNothingCameAsync()
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, Port);
        await TestKit.Wait.UntilAsync(() => Volatile.Read(ref _connections) > 0, "the connection of the test itself");
        Assert.Equal(1, Volatile.Read(ref _connections));
    }

    private async Task AcceptAsync()
    {
        while (true)
        {
            using var client = await _listener.AcceptSocketAsync();
            Interlocked.Increment(ref _connections);
        }
    }

    /// <summary>Every spelling of every kind of address that is not public.</summary>
    private static IEnumerable<string> Hosts()
    {
        string[] v4 =
        [
            "127.0.0.1", "127.255.255.254", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.255", "100.64.0.1", "100.127.255.255",
            "169.254.169.254", "0.0.0.0", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "192.88.99.1", "224.0.0.1", "239.255.255.255", "240.0.0.1",
            "255.255.255.255",
        ];
        return v4.SelectMany(Spellings).Concat(
        [
            "[::1]", "[0000:0000:0000:0000:0000:0000:0000:0001]", "[::]", "[fe80::1]", "[fe80::1%25eth0]", "[fe80::1%251]", "[febf::1]", "[fc00::1]", "[fd00:ec2::254]", "[fdff::1]",
            "[fec0::1]", "[ff02::1]", "[ff0e::1]", "[2001:db8::1]", "[3fff::1]", "[2001:2::1]", "[2001:10::1]", "[100::1]", "[5f00::1]", "[4000::1]", "[::2]",
            "127.1", "127.0.1", "0", "0x0", "00", "0x7f.1", "0177.1", "localhost", "LocalHost", "localhost.",
        ]);
    }

    private static IEnumerable<string> Spellings(string text)
    {
        var bytes = IPAddress.Parse(text).GetAddressBytes();
        var number = ((uint)bytes[0] << 24) | ((uint)bytes[1] << 16) | ((uint)bytes[2] << 8) | bytes[3];
        yield return text;
        yield return $"{number}";
        yield return $"0x{number:x8}";
        yield return "0" + Convert.ToString((long)number, 8);
        yield return string.Join('.', bytes.Select(value => "0" + Convert.ToString(value, 8)));
        yield return string.Join('.', bytes.Select(value => $"0x{value:x}"));
        yield return $"{bytes[0]}.{number & 0xffffff}";
        yield return $"0x{bytes[0]:x}.{bytes[1]}.{number & 0xffff}";
        yield return string.Concat(text.Select(character => character == '.' ? '。' : (char)(character - '0' + '０')));
        yield return string.Concat(text.Select(character => character switch { '.' => '.', '0' => '⓪', _ => (char)(character - '1' + '①') }));
        yield return text + ".";
        yield return $"[::ffff:{text}]";
        yield return $"[::ffff:{number >> 16:x}:{number & 0xffff:x}]";
        yield return $"[0:0:0:0:0:ffff:{text}]";
        yield return $"[::{text}]";
        yield return $"[64:ff9b::{text}]";
        yield return $"[64:ff9b:1::{text}]";
        yield return $"[2002:{number >> 16:x}:{number & 0xffff:x}::1]";
        yield return $"[2001::{~number >> 16 & 0xffff:x}:{~number & 0xffff:x}]";
    }

    private IEnumerable<string> Tricks()
    {
        foreach (var scheme in (string[])["ftp", "file", "gopher", "dict", "ldap", "ws", "wss", "data", "javascript", "jar", "netdoc", "unix", "http", "HTTP", "tftp", "ssh"])
        {
            yield return $"{scheme}://127.0.0.1:{Port}/";
            yield return $"{scheme}://example.com/";
        }

        foreach (var port in (int[])[0, 1, 21, 22, 23, 25, 110, 143, 4222, 5432, 6379, 8080, 8443, 11211, 65535, 65536, 99999])
        {
            yield return $"https://example.com:{port}/";
        }

        foreach (var url in (string[])
        [
            "", "//127.0.0.1/", "/etc/passwd", "127.0.0.1", "https://", "https:///", "https://user@127.0.0.1/", "https://user:pass@example.com/", "https://example.com@127.0.0.1/",
            "https://127.0.0.1@example.com/", "https://@127.0.0.1/", "https://:@127.0.0.1/", "https://example.com\\@127.0.0.1/", "https://127.0.0.1\\.example.com/",
            "https://example.com#@127.0.0.1/", "https://127.0.0.1#.example.com/", "https://example.com/\r\nHost: 127.0.0.1", "https://exa\tmple.com/", " https://127.0.0.1/",
            "https://127.0.0.1\0.example.com/", "https://127.0.0.1%00.example.com/", "https://127.0.0.1%2f.example.com/", "https://[::1", "https://[127.0.0.1]/", "https://[::1]x/",
            "https://1.1.1.1 @127.0.0.1/", "https:127.0.0.1/", "https:\\\\127.0.0.1/", "https:/127.0.0.1/", "https://%31%32%37.0.0.1/", "https://127.0.0.1?.example.com/",
            "https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/", "https://example.com/" + new string('a', 2048),
        ])
        {
            yield return url;
        }
    }
}
