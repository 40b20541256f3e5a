using RuleEngineNats.ConfigService.Streams;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.ConfigService.Tests.Streams;

public sealed class StreamOwnerTests
{
    private static readonly ConfigSnapshot Snapshot = new([], [new NatsConfig(1, "default", "nats://localhost", true)], []);

    [Fact]
    public void Nothing_is_missing_when_every_stream_is_there()
        => Assert.Null(StreamOwner.MissingAfter([Report("WEBHOOKS", StreamState.Created), Report("A", StreamState.Differs)], Snapshot));

    [Fact]
    public void Without_definitions_nothing_is_missing() => Assert.Null(StreamOwner.MissingAfter([], Snapshot));

    [Fact]
    public void The_stream_of_the_default_connection_is_needed()
        => Assert.Contains("WEBHOOKS", StreamOwner.MissingAfter([Report("A", StreamState.Exists), Report("WEBHOOKS", StreamState.Failed)], Snapshot),
            StringComparison.Ordinal);

    [Fact]
    public void Another_stream_that_fails_holds_nothing_up()
        => Assert.Null(StreamOwner.MissingAfter([Report("WEBHOOKS", StreamState.Exists), Report("A", StreamState.Failed)], Snapshot));

    [Fact]
    public void A_stream_of_another_connection_that_fails_holds_nothing_up()
        => Assert.Null(StreamOwner.MissingAfter([Report("WEBHOOKS", StreamState.Exists), Report("WEBHOOKS", StreamState.Failed, "other")], Snapshot));

    [Fact]
    public void When_all_fail_the_server_is_missing()
        => Assert.StartsWith("NATS: ", StreamOwner.MissingAfter([Report("A", StreamState.Failed)], Snapshot), StringComparison.Ordinal);

    [Fact]
    public void No_password_gets_into_the_reason()
        => Assert.DoesNotContain("hidden", StreamOwner.MissingAfter([new("WEBHOOKS", "default", StreamState.Failed, "cannot reach nats://u:hidden@h")], Snapshot),
            StringComparison.Ordinal);

    private static StreamReport Report(string stream, StreamState state, string config = "default") => new(stream, config, state, "detail");
}
