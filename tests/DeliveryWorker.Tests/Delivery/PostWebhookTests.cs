using System.Diagnostics;
using System.Net;
using RuleEngineNats.DeliveryWorker.Delivery;
using RuleEngineNats.DeliveryWorker.Routing;
using RuleEngineNats.DeliveryWorker.Signing;
using RuleEngineNats.Messaging;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.DeliveryWorker.Tests.Delivery;

public sealed class PostWebhookTests : IAsyncLifetime
{
    private const string Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    private static readonly EgressOptions Local = new() { AllowLoopback = true, AllowHttp = true, AllowAnyPort = true };

    private WebhookReceiver _receiver = null!;

    public async Task InitializeAsync() => _receiver = await WebhookReceiver.StartAsync();

    public async Task DisposeAsync() => await _receiver.DisposeAsync();

    [Fact]
    public async Task A_request_has_the_bytes_the_signature_and_the_headers_it_should()
    {
        byte[] body = [.. """{"b":1, "a":9007199254740993}"""u8, 0xff];
        var endpoint = Endpoint("/hook") with { Headers = EndpointHeaders.Parse("""{"Authorization":"Bearer t","X-Own":"1"}""") };
        var outgoing = new OutgoingEvent("5_order-1", body)
        {
            Headers = [new("ce-type", "order.created")],
            TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        };

        var attempt = await SendAsync(endpoint, outgoing, Local);

        Assert.Equal(new DeliveryOutcome.Delivered(200), attempt.Outcome);
        var request = Assert.Single(_receiver.Requests);
        Assert.Equal(body, request.Body);
        Assert.True(StandardWebhookVerifier.Verify(Secret, request));
        Assert.Equal("POST", request.Method);
        Assert.Equal("5_order-1", request.Id);
        Assert.Equal("application/json", request.Headers["Content-Type"]);
        Assert.Equal("Bearer t", request.Headers["Authorization"]);
        Assert.Equal("1", request.Headers["X-Own"]);
        Assert.Equal("order.created", request.Headers["ce-type"]);
        Assert.Contains("0af7651916cd43dd8448eb211c80319c", request.Headers["traceparent"], StringComparison.Ordinal);
        Assert.StartsWith("RuleEngineNats/", request.Headers["User-Agent"], StringComparison.Ordinal);
        Assert.False(request.Headers.ContainsKey("Accept-Encoding"));
    }

    [Fact]
    public async Task The_endpoints_own_headers_and_method_win()
    {
        var endpoint = Endpoint("/hook") with
        {
            Method = HttpMethod.Put,
            Headers = EndpointHeaders.Parse("""{"content-type":"application/cloudevents+json","user-agent":"mine","ce-type":"own"}"""),
        };

        await SendAsync(endpoint, new("e", "{}"u8.ToArray()) { Headers = [new("ce-type", "order.created")] }, Local);

        var request = Assert.Single(_receiver.Requests);
        Assert.Equal(("PUT", "application/cloudevents+json", "mine", "own"),
            (request.Method, request.Headers["Content-Type"], request.Headers["User-Agent"], request.Headers["ce-type"]));
    }

    [Fact]
    public async Task An_endpoint_without_a_secret_gets_no_signature()
    {
        await SendAsync(Endpoint("/hook") with { SigningKeys = [] }, new("e", "{}"u8.ToArray()), Local);

        var request = Assert.Single(_receiver.Requests);
        Assert.False(request.Headers.ContainsKey("webhook-signature"));
        Assert.Equal("e", request.Id);
    }

    [Theory]
    [InlineData(200, true)]
    [InlineData(204, true)]
    [InlineData(299, true)]
    [InlineData(301, false)]
    [InlineData(304, false)]
    [InlineData(400, false)]
    [InlineData(410, false)]
    [InlineData(429, false)]
    [InlineData(500, false)]
    public async Task Only_2xx_is_delivered(int status, bool delivered)
    {
        _receiver.Answer("/hook", status);

        var attempt = await SendAsync(Endpoint("/hook"), new("e", "{}"u8.ToArray()), Local);

        Assert.Equal(delivered ? new DeliveryOutcome.Delivered(status) : new DeliveryOutcome.Rejected(status), attempt.Outcome);
    }

    [Theory]
    [InlineData(301)]
    [InlineData(302)]
    [InlineData(307)]
    [InlineData(308)]
    public async Task A_redirect_is_not_followed(int status)
    {
        _receiver.Script("/hook", $"{status}:{_receiver.Url("/elsewhere")}");

        var attempt = await SendAsync(Endpoint("/hook"), new("e", "{}"u8.ToArray()), Local);

        Assert.Equal(new DeliveryOutcome.Rejected(status), attempt.Outcome);
        Assert.Contains("redirects are not followed", attempt.Outcome.Error, StringComparison.Ordinal);
        // The next request on the same connection shows that none went elsewhere before.
        await SendAsync(Endpoint("/last"), new("e", "{}"u8.ToArray()), Local);
        Assert.Equal(["/hook", "/last"], _receiver.Requests.Select(request => request.Path));
    }

    [Fact]
    public async Task Cookies_are_not_kept()
    {
        _receiver.Script("/hook", "200;set-cookie=\"a=b; Path=/\"");
        using var client = new DeliveryClient(Local);

        await SendAsync(client, Endpoint("/hook"), new("e", "{}"u8.ToArray()));
        await SendAsync(client, Endpoint("/hook"), new("e", "{}"u8.ToArray()));

        Assert.DoesNotContain(_receiver.Requests, request => request.Headers.ContainsKey("Cookie"));
    }

    [Fact]
    public async Task A_silent_receiver_times_out()
    {
        _receiver.Script("/hook", "hang");

        var attempt = await SendAsync(Endpoint("/hook") with { Timeout = TimeSpan.FromMilliseconds(300) }, new("e", "{}"u8.ToArray()), Local);

        Assert.IsType<DeliveryOutcome.TimedOut>(attempt.Outcome);
        Assert.Contains("300 ms", attempt.Outcome.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_stop_of_the_worker_is_no_outcome()
    {
        using var stop = new CancellationTokenSource();
        _receiver.Answer("/hook", async (context, _) =>
        {
            await stop.CancelAsync();
            await Task.Delay(Timeout.Infinite, context.RequestAborted);
        });
        using var client = new DeliveryClient(Local);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Slice(client).SendAsync(Endpoint("/hook"), new("e", "{}"u8.ToArray()), 1, stop.Token));
    }

    [Fact]
    public async Task An_endless_body_is_cut_at_16_KiB_and_still_delivered()
    {
        _receiver.Script("/hook", "endless");

        var attempt = await SendAsync(Endpoint("/hook"), new("e", "{}"u8.ToArray()), Local);

        Assert.Equal(new DeliveryOutcome.Delivered(200), attempt.Outcome);
        Assert.Equal(16 * 1024, attempt.ResponseBody!.Length);
    }

    [Fact]
    public async Task A_compressed_answer_is_not_expanded()
    {
        _receiver.Script("/hook", "bomb:1GiB");

        var attempt = await SendAsync(Endpoint("/hook"), new("e", "{}"u8.ToArray()), Local);

        Assert.Equal(new DeliveryOutcome.Delivered(200), attempt.Outcome);
        Assert.Equal('\u001f', attempt.ResponseBody![0]);
        Assert.InRange(attempt.ResponseBody.Length, 1, 16 * 1024);
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", "delivered")]
    [InlineData("HTTP/1.1 200 OK\r\n{headers}\r\n\r\n", "broken_answer")]
    [InlineData("SSH-2.0-OpenSSH_9.2\r\n", "broken_answer")]
    [InlineData("", "broken_answer")]
    [InlineData("HTTP/1.1 2", "broken_answer")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: nonsense\r\n\r\n", "delivered")]
    public async Task A_broken_answer_is_an_outcome_by_its_status(string answer, string code)
    {
        await using var server = RawServer.Start(answer.Replace("{headers}", string.Join("\r\n", Enumerable.Range(0, 2000).Select(number => $"X-{number}: {new string('a', 50)}")), StringComparison.Ordinal));

        var attempt = await SendAsync(Endpoint("/") with { Target = TargetUrl.Check($"http://127.0.0.1:{server.Port}/", Local) }, new("e", "{}"u8.ToArray()), Local);

        Assert.Equal(code, attempt.Outcome.Code);
    }

    [Fact]
    public async Task Headers_that_drip_end_with_the_timeout()
    {
        await using var server = RawServer.Start("HTTP/1.1 200 OK\r\nX-Slow: " + new string('a', 10_000), byteEvery: TimeSpan.FromMilliseconds(20));
        var endpoint = Endpoint("/") with { Target = TargetUrl.Check($"http://127.0.0.1:{server.Port}/", Local), Timeout = TimeSpan.FromMilliseconds(500) };

        var attempt = await SendAsync(endpoint, new("e", "{}"u8.ToArray()), Local);

        Assert.IsType<DeliveryOutcome.TimedOut>(attempt.Outcome);
    }

    [Fact]
    public async Task A_refused_connection_and_an_unknown_name_are_connect_failures()
    {
        var closed = Endpoint("/") with { Target = TargetUrl.Check($"http://127.0.0.1:{Ports.Free()}/", Local) };
        var unknown = Endpoint("/") with { Target = TargetUrl.Check("http://no-such-host.invalid/", Local) };

        Assert.Equal(new DeliveryOutcome.ConnectFailed("ConnectionRefused"), (await SendAsync(closed, new("e", "{}"u8.ToArray()), Local)).Outcome);
        Assert.IsType<DeliveryOutcome.ConnectFailed>((await SendAsync(unknown, new("e", "{}"u8.ToArray()), Local)).Outcome);
    }

    [Fact]
    public async Task A_name_that_leads_to_loopback_is_blocked_at_connect_time()
    {
        var guarded = new EgressOptions { AllowHttp = true, AllowAnyPort = true };
        var endpoint = Endpoint("/hook") with { Target = TargetUrl.Check($"http://localhost:{_receiver.Port}/hook", guarded) };

        var attempt = await SendAsync(endpoint, new("e", "{}"u8.ToArray()), guarded);

        Assert.Equal(new DeliveryOutcome.AddressBlocked(DeliveryStage.Connect, "address is loopback"), attempt.Outcome);
        Assert.True(attempt.Outcome.IsFinal);
        await SendAsync(Endpoint("/last"), new("e", "{}"u8.ToArray()), Local);
        Assert.Equal(["/last"], _receiver.Requests.Select(request => request.Path));
    }

    [Fact]
    public async Task One_bad_address_among_good_ones_blocks_the_name()
    {
        var guarded = new EgressOptions { AllowHttp = true, AllowAnyPort = true };
        using var client = new DeliveryClient(guarded, (_, _) => Task.FromResult(new[] { IPAddress.Parse("203.0.114.1"), IPAddress.Parse("::ffff:10.0.0.1") }));
        var endpoint = Endpoint("/") with { Target = TargetUrl.Check("http://mixed.example/", guarded) };

        var attempt = await SendAsync(client, endpoint, new("e", "{}"u8.ToArray()));

        Assert.Equal(new DeliveryOutcome.AddressBlocked(DeliveryStage.Connect, "address is private"), attempt.Outcome);
    }

    [Fact]
    public async Task A_name_that_changes_its_address_is_checked_again_for_each_connection()
    {
        var answers = new Queue<IPAddress>([IPAddress.Loopback, IPAddress.Parse("10.0.0.1")]);
        using var client = new DeliveryClient(Local, (_, _) => Task.FromResult(new[] { answers.Dequeue() }));
        _receiver.Answer("/hook", (context, _) =>
        {
            context.Response.Headers.Connection = "close";
            return Task.CompletedTask;
        });
        var endpoint = Endpoint("/") with { Target = TargetUrl.Check($"http://rebinding.example:{_receiver.Port}/hook", Local) };

        var first = await SendAsync(client, endpoint, new("e", "{}"u8.ToArray()));
        var second = await SendAsync(client, endpoint, new("e", "{}"u8.ToArray()));

        Assert.Equal(new DeliveryOutcome.Delivered(200), first.Outcome);
        Assert.Equal(new DeliveryOutcome.AddressBlocked(DeliveryStage.Connect, "address is private"), second.Outcome);
    }

    [Fact]
    public async Task A_url_or_header_that_is_not_allowed_sends_nothing()
    {
        var badUrl = Endpoint("/hook") with { Target = TargetUrl.Check("https://user@example.com/", Local) };
        var badHeader = Endpoint("/hook") with { Headers = EndpointHeaders.Parse("""{"X-A":"a\r\nX-Injected: 1"}""") };

        var first = await SendAsync(badUrl, new("e", "{}"u8.ToArray()), Local);
        var second = await SendAsync(badHeader, new("e", "{}"u8.ToArray()), Local);

        Assert.Equal("address_blocked: url_not_allowed: user information", first.Outcome.Error);
        Assert.Equal("request_refused: headers: the value of X-A has a character that is not printable ASCII", second.Outcome.Error);
        Assert.Empty(_receiver.Requests);
    }

    [Fact]
    public async Task The_span_continues_the_events_trace_and_the_request_continues_the_span()
    {
        var spans = new List<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name is "RuleEngineNats",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = span => { lock (spans) { spans.Add(span); } },
        };
        ActivitySource.AddActivityListener(listener);
        var trace = ActivityTraceId.CreateRandom().ToHexString();

        await SendAsync(Endpoint("/traced"), new("e", "{}"u8.ToArray()) { TraceParent = $"00-{trace}-b7ad6b7169203331-01" }, Local);

        Activity span;
        lock (spans)
        {
            span = Assert.Single(spans, candidate => candidate.TraceId.ToHexString() == trace);
        }

        Assert.Equal("deliver hook", span.DisplayName);
        Assert.Equal("b7ad6b7169203331", span.ParentSpanId.ToHexString());
        Assert.Contains(trace, Assert.Single(_receiver.Requests).Headers["traceparent"], StringComparison.Ordinal);
        Assert.Single(_receiver.Requests.Single().Headers["traceparent"].Split(','));
    }

    private static Task<Attempt> SendAsync(DeliveryClient client, Endpoint endpoint, OutgoingEvent outgoing)
        => Slice(client).SendAsync(endpoint, outgoing, 1, CancellationToken.None);

    private static async Task<Attempt> SendAsync(Endpoint endpoint, OutgoingEvent outgoing, EgressOptions egress)
    {
        using var client = new DeliveryClient(egress);
        return await SendAsync(client, endpoint, outgoing);
    }

    private static PostWebhook Slice(DeliveryClient client)
        => Requests.Slice(client);

    private Endpoint Endpoint(string path) => new(7, "hook")
    {
        Target = TargetUrl.Check(_receiver.Url(path), Local),
        Timeout = TimeSpan.FromSeconds(20),
        SigningKeys = [SigningKey.Parse(Secret)],
    };
}
