using System.Text;
using NATS.Client.JetStream.Models;
using NATS.Client.ObjectStore;
using RuleEngineNats.Contracts;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.Messaging.Tests;

[Trait("Category", "Servers")]
public sealed class PayloadObjectsTests
{
    private static readonly string Large = PayloadBucket.Json(700_000);

    [Fact]
    public async Task A_body_above_the_limit_is_an_object_and_the_event_refers_to_it_and_one_below_is_a_message()
    {
        await using var harness = await StartAsync(new(MaxPayload: 65_536));
        var body = PayloadBucket.Json(65_536 - (16 * 1024) + 1);

        Assert.IsType<PublishOutcome.Stored>(await PublishAsync(harness, "a", body));
        Assert.IsType<PublishOutcome.Stored>(await PublishAsync(harness, "b", body[1..]));

        var (large, small) = (await ReadAsync(harness, 1), await ReadAsync(harness, 2));
        Assert.Equal(0, large.Data.Length);
        var headers = Encoding.ASCII.GetString(Convert.FromBase64String(large.Hdrs!));
        Assert.Contains($"rule-object: RULE_PAYLOADS/{PayloadBucket.Sha256(body)}\r\n", headers.Replace(":RULE", ": RULE", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.Equal(body.Length - 1, small.Data.Length);
        Assert.Equal(body, Encoding.UTF8.GetString(await (await PayloadBucket.OpenAsync(harness.JetStream)).GetBytesAsync(PayloadBucket.Sha256(body))));
        Assert.Equal(1, await PayloadBucket.CountAsync(harness.JetStream));
    }

    [Fact]
    public async Task The_same_id_is_stored_once_and_refused_with_another_large_body_and_equal_bodies_are_one_object()
    {
        await using var harness = await StartAsync();

        Assert.Equal(new PublishOutcome.Stored("EVENTS", 1), await PublishAsync(harness, "a", Large));
        Assert.Equal(new PublishOutcome.Duplicate("EVENTS", 1), await PublishAsync(harness, "a", Large));
        Assert.Equal(new PublishOutcome.Stored("EVENTS", 2), await PublishAsync(harness, "b", Large));
        Assert.Equal(1, await PayloadBucket.CountAsync(harness.JetStream));
        Assert.Equal(RefusalReason.BodyMismatch, Assert.IsType<PublishOutcome.Refused>(await PublishAsync(harness, "a", Large + " ")).Reason);
        Assert.Equal(2, await harness.CountAsync());
    }

    [Fact]
    public async Task An_object_that_lost_its_chunks_is_put_anew()
    {
        await using var harness = await StartAsync();
        await PublishAsync(harness, "a", Large);
        await PayloadBucket.DamageAsync(harness.JetStream, Encoding.UTF8.GetBytes(Large));
        var reference = new PayloadObject(PayloadBucket.Sha256(Large), Large.Length);
        await Assert.ThrowsAsync<PayloadMissingException>(() => harness.Objects.GetAsync(harness.Client, reference, CancellationToken.None));

        Assert.IsType<PublishOutcome.Stored>(await PublishAsync(harness, "b", Large));
        Assert.Equal(Large, Encoding.UTF8.GetString(await harness.Objects.GetAsync(harness.Client, reference, CancellationToken.None)));
    }

    [Fact]
    public async Task An_object_whose_content_is_another_than_its_name_says_is_missing()
    {
        await using var harness = await StartAsync();
        var bucket = await PayloadBucket.OpenAsync(harness.JetStream);
        await bucket.PutAsync(PayloadBucket.Sha256(Large), Encoding.UTF8.GetBytes(Large + " "));

        var missing = await Assert.ThrowsAsync<PayloadMissingException>(
            () => harness.Objects.GetAsync(harness.Client, new PayloadObject(PayloadBucket.Sha256(Large), Large.Length), CancellationToken.None));
        Assert.Equal("the object is damaged", missing.Message);
    }

    [Fact]
    public async Task Without_the_bucket_or_room_in_it_a_large_body_is_unavailable_and_says_why_and_a_small_one_goes()
    {
        await using var harness = await (await Harness.StartAsync()).WithStreamAsync();

        Assert.Equal(
            new PublishOutcome.Unavailable(UnavailableReason.NoStream, "the payload is too large for a message, and the bucket RULE_PAYLOADS does not exist; ConfigService makes it"),
            await PublishAsync(harness, "a", Large));
        await new NatsObjContext(harness.JetStream).CreateObjectStoreAsync(new NatsObjConfig(PayloadBucket.Name) { MaxBytes = 200_000 });
        var full = Assert.IsType<PublishOutcome.Unavailable>(await PublishAsync(harness, "a", Large));
        Assert.Equal((UnavailableReason.StreamFull, "bucket RULE_PAYLOADS: maximum bytes exceeded (10077)"), (full.Reason, full.Message));
        Assert.IsType<PublishOutcome.Stored>(await PublishAsync(harness, "b", "1"));
        Assert.Equal(1, await harness.CountAsync());
    }

    [Theory]
    [InlineData("7,1", 9)]
    [InlineData("7,0", 30)]
    [InlineData("", 30)]
    public void The_bucket_keeps_an_object_two_days_longer_than_any_stream_its_events(string maxAgeDays, int bucketDays)
    {
        var streams = maxAgeDays.Split(',', StringSplitOptions.RemoveEmptyEntries)
            .Select(days => new StreamDefinition(1, 1, "S", [], true) { MaxAge = TimeSpan.FromDays(int.Parse(days, System.Globalization.CultureInfo.InvariantCulture)) });
        var bucket = BucketShape.Of([.. streams]);

        Assert.Equal((PayloadBucket.Name, TimeSpan.FromDays(bucketDays)), (bucket.Bucket, bucket.MaxAge));
        Assert.Null(BucketShape.Difference(bucket, new StreamConfig { MaxAge = TimeSpan.Zero }));
        Assert.Null(BucketShape.Difference(bucket, new StreamConfig { MaxAge = TimeSpan.FromDays(bucketDays) }));
        Assert.Contains("less than", BucketShape.Difference(bucket, new StreamConfig { MaxAge = TimeSpan.FromDays(bucketDays - 1) }), StringComparison.Ordinal);
    }

    private static async Task<Harness> StartAsync(NatsServerOptions? server = null)
    {
        var harness = await (await Harness.StartAsync(server: server)).WithStreamAsync();
        await PayloadBucket.CreateAsync(harness.JetStream);
        return harness;
    }

    private static async Task<PublishOutcome> PublishAsync(Harness harness, string id, string body)
        => await harness.Publisher.PublishAsync(Harness.Event(id, body), CancellationToken.None);

    private static async Task<StoredMessage> ReadAsync(Harness harness, ulong sequence)
        => (await (await harness.JetStream.GetStreamAsync("EVENTS")).GetAsync(new StreamMsgGetRequest { Seq = sequence })).Message;
}
