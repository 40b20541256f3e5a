using System.Collections.Concurrent;
using System.Diagnostics;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;

namespace NATS.Net.Tests;

/// <summary>One trace from the publish through the stream to the work on the message.</summary>
[Collection("Telemetry")]
public sealed class TelemetryTests(JetStreamServer server) : IClassFixture<JetStreamServer>, IDisposable
{
    private static readonly ActivitySource Own = new("NATS.Net.Tests");
    private readonly ConcurrentQueue<Activity> _ended = new();
    private ActivityListener? _listener;

    public void Dispose() => _listener?.Dispose();

    [Fact]
    public async Task Publish_stream_and_delivery_are_one_trace()
    {
        Listen();
        await using var nats = new NatsConnection(new NatsOpts { Url = server.Url });
        var js = nats.CreateJetStreamContext();
        await js.CreateStreamAsync(new StreamConfig("TRACE", ["trace.it.>"])).InTime();
        var consumer = await js.CreateOrUpdateConsumerAsync("TRACE", new ConsumerConfig("c")).InTime();
        ActivityTraceId trace;
        using (var root = Own.StartActivity("root"))
        {
            trace = root!.TraceId;
            await js.PublishAsync("trace.it.now", "x").InTime();
            Assert.Same(root, Activity.Current);
        }

        var msg = await consumer.NextAsync<string>(opts: new NatsJSNextOpts { Expires = TimeSpan.FromSeconds(20) }).InTime();
        Assert.NotNull(msg);
        using (var work = msg.StartActivity("work"))
        {
            Assert.Equal(trace, work!.TraceId);
            Assert.Equal(ActivityKind.Internal, work.Kind);
        }

        var publish = _ended.Single(a => a.DisplayName == "trace.it publish");
        var receive = _ended.Single(a => a.DisplayName == "trace.it receive");
        Assert.Equal((trace, ActivityKind.Producer), (publish.TraceId, publish.Kind));
        Assert.Equal((trace, ActivityKind.Consumer), (receive.TraceId, receive.Kind));
        Assert.Equal(publish.SpanId, receive.ParentSpanId);
        Assert.Equal(receive.SpanId, _ended.Single(a => a.DisplayName == "work").ParentSpanId);
        Assert.Equal("nats", publish.GetTagItem("messaging.system"));
        Assert.Equal("trace.it.now", publish.GetTagItem("messaging.destination.name"));
        Assert.Equal("receive", receive.GetTagItem("messaging.operation"));
        Assert.Contains(publish.SpanId.ToHexString(), msg.Headers!["traceparent"].ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_foreign_traceparent_is_continued_and_no_header_starts_a_trace()
    {
        await using var silent = new NatsConnection(new NatsOpts { Url = server.Url });
        await using var nats = new NatsConnection(new NatsOpts { Url = server.Url });
        await using var sub = await nats.SubscribeCoreAsync<string>("foreign.trace").InTime();
        await nats.PingAsync().InTime();

        // Sent without a listener, so the header stays what the sender wrote.
        await silent.PublishAsync("foreign.trace", "a", new NatsHeaders { ["traceparent"] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" });
        await silent.PublishAsync("foreign.trace", "b");
        await silent.PingAsync().InTime();
        Assert.Null((await sub.Msgs.ReadAsync(Poll.Token()).InTime()).Headers.GetActivityContext() is { TraceId: var t } && t != default ? t.ToString() : null);

        Listen();
        await using var again = await nats.SubscribeCoreAsync<string>("foreign.again").InTime();
        await nats.PublishAsync("foreign.again", "c");
        var msg = await again.Msgs.ReadAsync(Poll.Token()).InTime();
        Assert.NotEqual(default, msg.Headers.GetActivityContext().TraceId);
        using var work = msg.StartActivity("on.message");
        Assert.Equal(msg.Headers.GetActivityContext().TraceId, work!.TraceId);
    }

    [Fact]
    public async Task Without_a_listener_nothing_is_added()
    {
        await using var nats = new NatsConnection(new NatsOpts { Url = server.Url });
        await using var sub = await nats.SubscribeCoreAsync<string>("untraced").InTime();

        await nats.PublishAsync("untraced", "x");

        Assert.Null((await sub.Msgs.ReadAsync(Poll.Token()).InTime()).Headers);
    }

    [Fact]
    public async Task A_filter_keeps_spans_away()
    {
        Listen();
        NatsInstrumentationOptions.Default.Filter = context => context.Subject != "filtered.out";
        try
        {
            await using var nats = new NatsConnection(new NatsOpts { Url = server.Url });
            await using var sub = await nats.SubscribeCoreAsync<string>("filtered.*").InTime();
            await nats.PublishAsync("filtered.out", "x");
            await nats.PublishAsync("filtered.in", "x");
            await sub.Msgs.ReadAsync(Poll.Token()).InTime();
            await sub.Msgs.ReadAsync(Poll.Token()).InTime();
        }
        finally
        {
            NatsInstrumentationOptions.Default.Filter = null;
        }

        Assert.Contains(_ended, a => a.DisplayName == "filtered.in publish");
        Assert.DoesNotContain(_ended, a => a.DisplayName.StartsWith("filtered.out", StringComparison.Ordinal));
    }

    private void Listen()
    {
        _listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name is "NATS.Net" or "NATS.Net.Tests",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = _ended.Enqueue,
        };
        ActivitySource.AddActivityListener(_listener);
    }
}

/// <summary>A listener is global: while there is one, no other test runs.</summary>
[CollectionDefinition("Telemetry", DisableParallelization = true)]
public sealed class TelemetryCollection;
