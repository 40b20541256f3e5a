using System.Globalization;
using Google.Protobuf;
using Grpc.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using RuleEngineNats.Contracts.Publishing;
using Xunit;

namespace RuleEngineNats.PublishService.Tests;

/// <summary>Every refusal: its status, machine code, field and, where there is one, the byte.</summary>
[Trait("Category", "Servers")]
public sealed class RefusalTests(PublishFixture fixture) : IClassFixture<PublishFixture>
{
    [Theory]
    [InlineData("", "empty", 0)]
    [InlineData("a b", "whitespace", 1)]
    [InlineData("a\r\nPUB x 0", "control character", 1)]
    [InlineData("a\u0000b", "control character", 1)]
    [InlineData("a..b", "empty token", 2)]
    [InlineData("a.", "empty token", 2)]
    [InlineData("a.*", "wildcard", 2)]
    [InlineData("a.>", "wildcard", 2)]
    [InlineData("$JS.API.STREAM.PURGE.WEBHOOKS", "reserved", 0)]
    [InlineData("$JS.API.STREAM.DELETE.WEBHOOKS", "reserved", 0)]
    [InlineData("$SYS.REQ.SERVER.PING", "reserved", 0)]
    [InlineData("_INBOX.x", "reserved", 0)]
    [InlineData("ev.\u202Egnp", "character not in [A-Za-z0-9_-]", 3)]
    [InlineData("events.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17", "more than 16 tokens", 44)]
    public async Task A_hostile_subject_is_refused_with_the_byte(string subject, string reason, int position)
    {
        var refusal = await fixture.RefusedAsync(PublishFixture.Event(subject));

        Assert.Equal((StatusCode.InvalidArgument, "SUBJECT_INVALID"), (refusal.Code, refusal.Reason));
        Assert.Equal(["subject"], refusal.Fields);
        Assert.Equal(string.Create(CultureInfo.InvariantCulture, $"subject: {reason} at byte {position}"), refusal.Message);
    }

    [Theory]
    [InlineData(256)]
    [InlineData(5000)]
    public async Task A_subject_of_more_than_255_bytes_is_refused(int length)
        => Assert.Equal("subject: longer than 255 bytes at byte 255", (await fixture.RefusedAsync(PublishFixture.Event("events." + new string('x', length - 7)))).Message);

    [Fact]
    public async Task A_subject_outside_the_configured_streams_is_not_allowed()
    {
        var refusal = await fixture.RefusedAsync(PublishFixture.Event("other.prefix.x"));

        Assert.Equal((StatusCode.PermissionDenied, "SUBJECT_NOT_ALLOWED"), (refusal.Code, refusal.Reason));
        Assert.Equal(["subject"], refusal.Fields);
    }

    [Theory]
    [InlineData("", "PAYLOAD_EMPTY", 0)]
    [InlineData("{} x", "PAYLOAD_INVALID", 3)]
    [InlineData("\ufeff{}", "PAYLOAD_INVALID", 0)]
    [InlineData("\"\\u0000\"", "PAYLOAD_INVALID", 1)]
    [InlineData("\"\\ud800\"", "PAYLOAD_INVALID", 1)]
    [InlineData("NaN", "PAYLOAD_INVALID", 0)]
    [InlineData("1e400", "PAYLOAD_INVALID", 0)]
    [InlineData("{\"a\":1,\"a\":2}", "PAYLOAD_INVALID", 7)]
    public async Task A_payload_that_is_no_clean_json_is_refused_with_the_byte(string payload, string reason, int position)
    {
        var refusal = await fixture.RefusedAsync(PublishFixture.Event("events.a", payload));

        Assert.Equal((StatusCode.InvalidArgument, reason), (refusal.Code, refusal.Reason));
        Assert.Equal(["payload"], refusal.Fields);
        Assert.EndsWith(string.Create(CultureInfo.InvariantCulture, $"at byte {position}"), refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_payload_that_is_no_utf8_is_refused()
    {
        var request = PublishFixture.Event("events.a");
        request.Payload = ByteString.CopyFrom((byte)'"', 0xff, (byte)'"');

        Assert.Equal("payload: not valid UTF-8 at byte 1", (await fixture.RefusedAsync(request)).Message);
    }

    [Fact]
    public async Task A_message_far_above_the_limit_is_refused_before_it_is_read()
    {
        var exception = await Assert.ThrowsAsync<RpcException>(async () => await fixture.Client.PublishAsync(PublishFixture.Event("events.a", new string('1', 20_000_000))));

        Assert.Equal(StatusCode.ResourceExhausted, exception.StatusCode);
    }

    [Theory]
    [InlineData("a b", 1)]
    [InlineData("a\r\nb", 1)]
    [InlineData("aü\u00a0", 3)]
    public async Task A_message_id_with_spaces_is_refused_with_the_byte(string id, int position)
    {
        var refusal = await fixture.RefusedAsync(PublishFixture.Event("events.a", "1", id));

        Assert.Equal((StatusCode.InvalidArgument, "MESSAGE_ID_INVALID"), (refusal.Code, refusal.Reason));
        Assert.Equal(["message_id"], refusal.Fields);
        Assert.EndsWith(string.Create(CultureInfo.InvariantCulture, $"at byte {position}"), refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_message_id_of_129_characters_is_refused()
        => Assert.Equal("message_id: longer than 128 characters at byte 128", (await fixture.RefusedAsync(PublishFixture.Event("events.a", "1", new string('i', 129)))).Message);

    [Theory]
    [InlineData("Nats-Msg-Id", "x", "HEADER_RESERVED")]
    [InlineData("Nats-Expected-Last-Sequence", "0", "HEADER_RESERVED")]
    [InlineData("Nats-TTL", "1s", "HEADER_RESERVED")]
    [InlineData("webhook-signature", "v1,x", "HEADER_RESERVED")]
    [InlineData("rule-call-id", "1", "HEADER_RESERVED")]
    [InlineData("ce-id", "1", "HEADER_RESERVED")]
    [InlineData("connection", "close", "HEADER_RESERVED")]
    [InlineData("X-A", "a\nb", "HEADER_INVALID")]
    [InlineData("X A", "v", "HEADER_INVALID")]
    [InlineData("X:A", "v", "HEADER_INVALID")]
    [InlineData("X-Ü", "v", "HEADER_INVALID")]
    public async Task A_header_that_is_not_the_clients_is_refused(string name, string value, string reason)
    {
        var request = PublishFixture.Event("events.a");
        request.Headers.Add(new Header { Name = name, Value = value });

        var refusal = await fixture.RefusedAsync(request);

        Assert.Equal((StatusCode.InvalidArgument, reason), (refusal.Code, refusal.Reason));
        Assert.StartsWith("headers[", Assert.Single(refusal.Fields), StringComparison.Ordinal);
        Assert.DoesNotContain(value, refusal.Message.Replace(name, "", StringComparison.Ordinal), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_header_given_twice_is_refused()
    {
        var request = PublishFixture.Event("events.a");
        request.Headers.Add([new Header { Name = "X-A", Value = "1" }, new Header { Name = "x-a", Value = "2" }]);

        Assert.Equal("HEADER_DUPLICATE", (await fixture.RefusedAsync(request)).Reason);
    }

    [Fact]
    public async Task More_than_64_headers_or_8_KiB_of_them_are_refused()
    {
        var many = PublishFixture.Event("events.a");
        many.Headers.Add(Enumerable.Range(0, 65).Select(number => new Header { Name = $"X-{number}", Value = "v" }));
        var large = PublishFixture.Event("events.a");
        large.Headers.Add(new Header { Name = "X-A", Value = new string('v', 9 * 1024) });

        Assert.Equal((StatusCode.ResourceExhausted, "HEADERS_TOO_LARGE"), await CodeAsync(many));
        Assert.Equal((StatusCode.ResourceExhausted, "HEADERS_TOO_LARGE"), await CodeAsync(large));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    public async Task A_webhook_id_below_1_is_refused(int id) => Assert.Equal((StatusCode.InvalidArgument, "WEBHOOK_ID_INVALID"), await CodeAsync(PublishFixture.Event(id)));

    [Fact]
    public async Task An_unknown_webhook_is_not_found()
    {
        Assert.Equal((StatusCode.NotFound, "WEBHOOK_NOT_FOUND"), await CodeAsync(PublishFixture.Event(int.MaxValue)));
        Assert.Equal((StatusCode.NotFound, "WEBHOOK_NOT_FOUND"), await CodeAsync(new PublishRequest { WebhookName = "nobody", Payload = ByteString.CopyFromUtf8("1") }));
        Assert.Equal((StatusCode.InvalidArgument, "WEBHOOK_NAME_INVALID"), await CodeAsync(new PublishRequest { WebhookName = "", Payload = ByteString.CopyFromUtf8("1") }));
    }

    [Fact]
    public async Task A_webhook_without_nats_or_with_an_unusable_subject_is_a_failed_precondition()
    {
        var off = await fixture.NewWebhookAsync("nats_enabled = false");
        var without = await fixture.NewWebhookAsync("nats_subject = NULL");

        Assert.Equal((StatusCode.FailedPrecondition, "WEBHOOK_NOT_NATS_ENABLED"), await CodeAsync(PublishFixture.Event(off.Id)));
        Assert.Equal((StatusCode.FailedPrecondition, "WEBHOOK_NOT_NATS_ENABLED"), await CodeAsync(PublishFixture.Event(without.Id)));
    }

    [Fact]
    public async Task A_request_without_a_target_or_with_an_unknown_durability_is_refused_with_every_problem()
    {
        var refusal = await fixture.RefusedAsync(new PublishRequest { Durability = (Durability)7 });

        Assert.Equal(StatusCode.InvalidArgument, refusal.Code);
        Assert.Equal(["target", "payload", "durability"], refusal.Fields);
    }

    [Fact]
    public async Task Where_no_stream_takes_the_subject_the_precondition_failed()
    {
        await fixture.ExecuteAsync("INSERT INTO rule_nats_streams (config_id, stream_name, subjects) SELECT config_id, 'NOWHERE', '{nowhere.>}' FROM rule_nats_config WHERE config_name = 'default'");

        Assert.Equal((StatusCode.FailedPrecondition, "STREAM_MISSING"), await CodeAsync(PublishFixture.Event("nowhere.a")));
    }

    [Fact]
    public async Task Where_another_stream_takes_the_subject_the_precondition_failed_and_nothing_is_stored()
    {
        await fixture.CreateStreamAsync("SQUATTER", "squatted.>");
        await fixture.ExecuteAsync("INSERT INTO rule_nats_streams (config_id, stream_name, subjects) SELECT config_id, 'RIGHTFUL', '{squatted.>}' FROM rule_nats_config WHERE config_name = 'default'");

        Assert.Equal((StatusCode.FailedPrecondition, "STREAM_MISMATCH"), await CodeAsync(PublishFixture.Event("squatted.a")));
        Assert.Equal(0, (await new NatsJSContext(fixture.NatsClient).GetStreamAsync("SQUATTER")).Info.State.Messages);
    }

    [Fact]
    public async Task A_full_stream_refuses_and_discards_nothing()
    {
        await new NatsJSContext(fixture.NatsClient).CreateStreamAsync(new StreamConfig("SMALL", ["small.>"]) { MaxMsgs = 2, Discard = StreamConfigDiscard.New });
        await fixture.ExecuteAsync("INSERT INTO rule_nats_streams (config_id, stream_name, subjects) SELECT config_id, 'SMALL', '{small.>}' FROM rule_nats_config WHERE config_name = 'default'");
        await fixture.Client.PublishAsync(PublishFixture.Event("small.a", "1"));
        await fixture.Client.PublishAsync(PublishFixture.Event("small.a", "2"));

        Assert.Equal((StatusCode.ResourceExhausted, "STREAM_FULL"), await CodeAsync(PublishFixture.Event("small.a", "3")));
        Assert.Equal(["1", "2"], (await fixture.StoredAsync("small.a", "SMALL")).Select(PublishFixture.Text));
    }

    private async Task<(StatusCode Code, string Reason)> CodeAsync(PublishRequest request)
    {
        var refusal = await fixture.RefusedAsync(request);
        return (refusal.Code, refusal.Reason);
    }
}
