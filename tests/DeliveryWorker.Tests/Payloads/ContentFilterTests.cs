using System.Diagnostics.Metrics;
using System.Globalization;
using RuleEngineNats.DeliveryWorker.Payloads;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.DeliveryWorker.Tests.Payloads;

public sealed class ContentFilterTests
{
    [Theory]
    [InlineData("""($."amount" > 100)""", """{"amount":100.5}""", true)]
    [InlineData("""($."amount" > 100)""", """{"amount":"101"}""", false)]
    [InlineData("""($."id" == 9007199254740993)""", """{"id":9007199254740992}""", false)]
    [InlineData("""($."id" == 9007199254740993)""", """{"id":9007199254740993.0}""", true)]
    [InlineData("""$."vip"?(@ == true)""", """{"vip":[false,true]}""", true)]
    [InlineData("""$."a" """, """{"a":null}""", true)]
    [InlineData("""!(exists ($."a"))""", """{"b":1}""", true)]
    [InlineData("""!($."a" > "x")""", """{"a":1}""", false)]
    [InlineData("""($."a" != null)""", """{"a":1}""", true)]
    [InlineData("""($."a" == 1)""", """{"a":2,"a":1}""", true)]
    [InlineData("$", "no JSON", false)]
    [InlineData("$", "", false)]
    public void A_document_is_let_through_or_not(string filter, string body, bool expected)
    {
        using var document = EventBody.Parse(System.Text.Encoding.UTF8.GetBytes(body));
        Assert.Equal(expected, ContentFilter.Compile(filter).Matches(document));
    }

    [Theory]
    [InlineData("")]
    [InlineData("strict $")]
    [InlineData("($.\"a\" > 1")]
    [InlineData("($.\"a\" > 1) x")]
    [InlineData("$.\"a")]
    [InlineData("$.a")]
    [InlineData("$[last]")]
    [InlineData("$[99999999999]")]
    [InlineData("($.\"a\" ~ 1)")]
    [InlineData("($.\"a\" > 01)")]
    [InlineData("true")]
    public void What_is_not_understood_is_refused_and_nothing_is_sent(string filter)
    {
        Assert.Throws<FormatException>(() => ContentFilter.Compile(filter));
        var endpoint = With(new() { ContentFilter = filter });
        Assert.Same(endpoint, Assert.Single(FilterContent.Keep([endpoint], "{}"u8.ToArray())));
        Assert.NotNull(RequestPayload.Make(endpoint, new("e", "{}"u8.ToArray()), default).Problem);
    }

    [Fact]
    public void Bytes_that_are_no_text_match_nothing()
        => Assert.Empty(FilterContent.Keep([With(new() { ContentFilter = "$" })], new byte[] { (byte)'"', 0xff, (byte)'"' }));

    [Fact]
    public void What_is_kept_back_is_counted()
    {
        var counted = 0L;
        using var listener = new MeterListener
        {
            InstrumentPublished = static (instrument, listener) =>
            {
                if (instrument.Name == "rule.delivery.filtered")
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<long>((_, measurement, _, _) => Interlocked.Add(ref counted, measurement));
        listener.Start();
        FilterContent.Keep([With(new() { ContentFilter = "$.\"a\"" }), With(new() { ContentFilter = "$.\"b\"" }), With(new())], "{}"u8.ToArray());
        // Tests beside this one may add to it.
        Assert.True(counted >= 2);
    }

    [Fact]
    public void Without_a_filter_the_very_list_comes_back()
    {
        Endpoint[] endpoints = [With(new()), With(new())];
        Assert.Same(endpoints, FilterContent.Keep(endpoints, "no JSON"u8.ToArray()));
    }

    [Theory]
    [InlineData("""$."a"[*]?(@ == $."b"[*])""")]
    [InlineData("""$."a"[*]?($."a"[*] > @)""")]
    [InlineData("""$."a"[*]?($."long" == $."long" && @ < 0)""")]
    [InlineData("""$."a"[*]?($."long" like_regex "y")""")]
    public void A_document_that_makes_a_filter_too_much_work_fails_on_record(string filter)
    {
        var numbers = string.Join(',', Enumerable.Range(0, 5000).Select(number => number.ToString(CultureInfo.InvariantCulture)));
        var body = System.Text.Encoding.UTF8.GetBytes($$"""{"a":[{{numbers}}],"b":[-1],"long":"{{new string('x', 500_000)}}"}""".Replace("\"b\":[-1]", $"\"b\":[-{numbers.Replace(",", ",-", StringComparison.Ordinal)}]", StringComparison.Ordinal));
        var kept = Assert.Single(FilterContent.Keep([With(new() { ContentFilter = filter })], body));
        Assert.Equal("content_filter: takes more than 1,000,000 steps for this event", RequestPayload.Make(kept, new("e", body), default).Problem);
    }

    private static Endpoint With(DeliverySettings settings) => new(1, "hook") { Payload = PayloadSettings.Of(settings) };
}
