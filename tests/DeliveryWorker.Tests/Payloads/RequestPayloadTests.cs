using System.IO.Compression;
using System.Text;
using System.Text.Json;
using RuleEngineNats.DeliveryWorker.Delivery;
using RuleEngineNats.DeliveryWorker.Payloads;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.DeliveryWorker.Tests.Payloads;

public sealed class RequestPayloadTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    [Fact]
    public void Without_settings_the_body_is_sent_as_the_memory_it_lies_in()
    {
        ReadOnlyMemory<byte> body = new byte[] { 0xff, 1, 2 };
        var payload = Make(new(), body);
        Assert.True(payload.Sent.Equals(body) && payload.Signed.Equals(body));
        Assert.Equal(("application/json", false, false, null), (payload.ContentType, payload.IsGzip, payload.IsStructured, payload.Problem));
    }

    [Theory]
    [InlineData("""{"text":"{{name}} paid {{ amount }}","raw":"{{$}}","n":1.50}""", """{"text":"Zoë \"Q\" paid 9007199254740993","raw":@,"n":1.50}""")]
    [InlineData(""" "{{amount}}" """, "9007199254740993")]
    [InlineData(""" "{{amount}} " """, "\"9007199254740993 \"")]
    [InlineData("""["{{missing}}","{{name.x}}","{{items[9]}}","{{items.x}}","{{nil}}"]""", "[null,null,null,null,null]")]
    [InlineData(""" "<{{missing}}{{nil}}>" """, "\"<>\"")]
    [InlineData("""["{{items[0].\"unit price\"}}","{{$.items[1]}}","{{$.items}}!"]""", """[1.10,[true,null],"[{\"unit price\":1.10}, [true,null]]!"]""")]
    [InlineData(""" "{{\"a.b\".\"q\\\"}}\"}}" """, "\"deep\"")]
    [InlineData(""" "{{items[1][0]}}{{items[1][1]}}" """, "\"true\"")]
    [InlineData("""["{{$id}}","{{$subject}}","{{$time}}","{{$type}}","{{$source}}","{{$webhook}}","a {{$subject}}"]""", """["7_x","events.a","2026-01-02T03:04:05.0000000Z","events.a","/rule-engine","hook","a events.a"]""")]
    [InlineData("""{"x":[{"y":true,"z":null}],"<&>":"plain }} { text"}""", """{"x":[{"y":true,"z":null}],"<&>":"plain }} { text"}""")]
    public void A_template_is_filled(string template, string expected)
    {
        const string Body = """ {"name":"Zo\u00eb \"Q\"", "amount":9007199254740993,"items":[{"unit price":1.10}, [true,null]],"nil":null,"a.b":{"q\"}}":"deep"}}""";
        var payload = Make(new() { PayloadTemplate = Json(template) }, Encoding.UTF8.GetBytes(Body));
        Assert.Null(payload.Problem);
        Assert.Equal(expected.Replace("@", Body.Trim(), StringComparison.Ordinal), Encoding.UTF8.GetString(payload.Sent.Span));
        Assert.True(payload.Sent.Equals(payload.Signed));
    }

    [Theory]
    [InlineData("no JSON")]
    [InlineData("")]
    [InlineData("{\"a\":1} x")]
    [InlineData("{\"a\":\"\\ud800\"}")]
    public void A_body_that_is_no_JSON_cannot_fill_a_template(string body)
        => Assert.Equal("template: the body is no JSON", Make(new() { PayloadTemplate = Json("\"{{a}}\"") }, Encoding.UTF8.GetBytes(body)).Problem);

    [Theory]
    [InlineData("""["{{$}}","{{$}}","{{$}}"]""")]
    [InlineData(""" "{{$}}{{$}}{{$}}" """)]
    [InlineData("""["{{a}} {{a}}",["{{a}}"]]""")]
    public void What_a_template_comes_to_is_bounded(string template)
        => Assert.Equal(
            "template: what is sent would be larger than 1 MiB",
            Make(new() { PayloadTemplate = Json(template) }, Encoding.UTF8.GetBytes($$"""{"a":"{{new string('x', 500_000)}}"}""")).Problem);

    [Fact]
    public void A_template_with_a_placeholder_that_is_none_sends_nothing()
        => Assert.Equal("payload_template: no placeholder at character 3", Make(new() { PayloadTemplate = Json("\"a {{b c}}\"") }, "{}"u8.ToArray()).Problem);

    [Fact]
    public void A_structured_event_has_its_attributes_and_the_very_bytes()
    {
        var outgoing = new OutgoingEvent("7_x", """{"b": 1.50,"a":9007199254740993}"""u8.ToArray())
        {
            Subject = "events.a",
            Headers = [new("ce-id", "7_x"), new("ce-type", "order.paid"), new("ce-source", "/shop"), new("ce-time", "2026-01-01T00:00:00Z"), new("ce-specversion", "1.0"),
                new("Ce-Subject", "order/1"), new("ce-ruleexecutionid", "5"), new("ce-data", "x"), new("ce-not_one", "x"), new("x-other", "1")],
        };
        var payload = RequestPayload.Make(With(new() { CloudeventsMode = "structured" }), outgoing, Now);
        Assert.Equal(
            """{"specversion":"1.0","id":"7_x","source":"/shop","type":"order.paid","time":"2026-01-01T00:00:00Z","subject":"order/1","ruleexecutionid":"5","datacontenttype":"application/json","data":{"b": 1.50,"a":9007199254740993}}""",
            Encoding.UTF8.GetString(payload.Sent.Span));
        Assert.Equal(("application/cloudevents+json", true), (payload.ContentType, payload.IsStructured));
    }

    [Theory]
    [InlineData("[1]", "application/json", "data", "[1]")]
    [InlineData("text", "application/octet-stream", "data_base64", "\"dGV4dA==\"")]
    public void A_structured_event_without_attributes_gets_those_it_must_have(string body, string type, string member, string data)
    {
        using var json = JsonDocument.Parse(Make(new() { CloudeventsMode = "structured" }, Encoding.UTF8.GetBytes(body)).Sent);
        Assert.Equal(
            $$"""{"specversion":"1.0","id":"7_x","source":"/rule-engine","type":"events.a","time":"2026-01-02T03:04:05.0000000Z","datacontenttype":"{{type}}","{{member}}":{{data}}}""",
            json.RootElement.GetRawText());
    }

    [Fact]
    public void A_structured_event_with_an_empty_body_has_no_data()
    {
        using var json = JsonDocument.Parse(Make(new() { CloudeventsMode = "structured" }, default).Sent);
        Assert.Equal(["specversion", "id", "source", "type", "time"], json.RootElement.EnumerateObject().Select(member => member.Name));
    }

    [Fact]
    public void A_template_fills_the_data_of_a_structured_event()
    {
        using var json = JsonDocument.Parse(Make(new() { CloudeventsMode = "structured", PayloadTemplate = Json("""{"n":"{{a}}"}""") }, """{"a":1.0}"""u8.ToArray()).Sent);
        Assert.Equal("""{"n":1.0}""", json.RootElement.GetProperty("data").GetRawText());
    }

    [Theory]
    [InlineData(1024, false)]
    [InlineData(1025, true)]
    [InlineData(1_000_000, true)]
    public void Gzip_begins_above_a_KiB_and_the_signature_is_over_what_it_holds(int length, bool isGzip)
    {
        var body = Encoding.UTF8.GetBytes(new string('x', length));
        var payload = Make(new() { ContentEncoding = "gzip" }, body);
        Assert.Equal(isGzip, payload.IsGzip);
        Assert.Equal(body, payload.Signed.ToArray());
        using var plain = new MemoryStream();
        if (isGzip)
        {
            using var gzip = new GZipStream(new MemoryStream(payload.Sent.ToArray()), CompressionMode.Decompress);
            gzip.CopyTo(plain);
        }

        Assert.Equal(isGzip ? body : [], plain.ToArray());
    }

    [Fact]
    public void What_gzip_makes_no_smaller_is_sent_as_it_is()
    {
        var body = new byte[4096];
        new Random(1).NextBytes(body);
        Assert.False(Make(new() { ContentEncoding = "gzip" }, body).IsGzip);
    }

    private static RequestPayload Make(DeliverySettings settings, ReadOnlyMemory<byte> body)
        => RequestPayload.Make(With(settings), new OutgoingEvent("7_x", body) { Subject = "events.a" }, Now);

    private static Endpoint With(DeliverySettings settings) => new(1, "hook") { Payload = PayloadSettings.Of(settings) };

    private static JsonElement Json(string text)
    {
        using var document = JsonDocument.Parse(text);
        return document.RootElement.Clone();
    }
}
