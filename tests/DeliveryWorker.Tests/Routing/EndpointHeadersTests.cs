using RuleEngineNats.DeliveryWorker.Routing;

namespace RuleEngineNats.DeliveryWorker.Tests.Routing;

public sealed class EndpointHeadersTests
{
    [Theory]
    [InlineData("""{"X-A":"a\r\nX-Injected: 1"}""")]
    [InlineData("""{"X-A":"a\nb"}""")]
    [InlineData("""{"X-A":"a\u0000b"}""")]
    [InlineData("""{"X-A":"grüß"}""")]
    [InlineData("""{"X A":"a"}""")]
    [InlineData("""{"X:A":"a"}""")]
    [InlineData("""{"X-A\r\nX-B":"a"}""")]
    [InlineData("""{"":"a"}""")]
    [InlineData("""{"X-Ü":"a"}""")]
    [InlineData("""{"X-A":"1","x-a":"2"}""")]
    [InlineData("""{"webhook-signature":"v1,x"}""")]
    [InlineData("""{"Webhook-Id":"x"}""")]
    [InlineData("""{"Host":"internal"}""")]
    [InlineData("""{"Content-Length":"1"}""")]
    [InlineData("""{"Transfer-Encoding":"chunked"}""")]
    [InlineData("""{"Connection":"close"}""")]
    [InlineData("""{"traceparent":"x"}""")]
    [InlineData("""["X-A"]""")]
    [InlineData("""{"X-A":""")]
    public void Headers_that_could_forge_a_request_refuse_the_endpoint(string json)
    {
        var headers = EndpointHeaders.Parse(json);

        Assert.Empty(headers.Values);
        Assert.StartsWith("headers: ", headers.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void A_refusal_does_not_repeat_the_value()
        => Assert.DoesNotContain("hunter2", EndpointHeaders.Parse("""{"Authorization":"hunter2\n"}""").Problem, StringComparison.Ordinal);

    [Fact]
    public void More_than_8_KiB_or_64_headers_are_refused()
    {
        Assert.NotNull(EndpointHeaders.Check([new("X-A", new string('a', 9000))]).Problem);
        Assert.NotNull(EndpointHeaders.Check([.. Enumerable.Range(0, 65).Select(number => KeyValuePair.Create($"X-{number}", "a"))]).Problem);
    }

    [Fact]
    public void A_queued_event_keeps_its_64_headers_beside_those_that_were_added()
    {
        var headers = Enumerable.Range(0, 70).ToDictionary(number => $"X-{number}", _ => "a");
        headers["Host"] = "internal";
        headers["X-Forged"] = "a\nb";

        Assert.Equal(70, EndpointHeaders.OfEvent(System.Text.Json.JsonSerializer.Serialize(headers)).Count);
        Assert.Empty(EndpointHeaders.OfEvent(null));
        Assert.Empty(EndpointHeaders.OfEvent("[]"));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("null")]
    public void No_headers_are_fine(string? json) => Assert.Equal((0, null), (EndpointHeaders.Parse(json).Values.Count, EndpointHeaders.Parse(json).Problem));

    [Fact]
    public void Values_that_are_not_strings_go_as_their_json()
        => Assert.Equal([new("Authorization", "Bearer x"), new("X-N", "1"), new("X-B", "true")],
            EndpointHeaders.Parse("""{"Authorization":"Bearer x","X-N":1,"X-B":true}""").Values);
}
