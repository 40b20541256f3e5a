using System.Globalization;
using Grpc.Core;
using Grpc.Health.V1;
using Grpc.Net.Client;
using RuleEngineNats.Contracts.Publishing;
using RuleEngineNats.TestKit;
using Xunit;
using PublishApi = RuleEngineNats.Contracts.Publishing.PublishService;

namespace RuleEngineNats.PublishService.Tests;

/// <summary>What clients see while servers are killed, stopped and restarted.</summary>
[Trait("Category", "Servers")]
public sealed class FaultTests(PublishFixture fixture) : IClassFixture<PublishFixture>
{
    [Fact]
    public async Task Nats_killed_in_the_middle_of_a_stream_leaves_every_answer_true()
    {
        const int Count = 6000;
        var subject = fixture.NewSubject();
        using var call = fixture.Client.PublishStream();
        var results = new List<PublishResult>();
        var third = new TaskCompletionSource();
        var reading = Task.Run(async () =>
        {
            await foreach (var result in call.ResponseStream.ReadAllAsync())
            {
                results.Add(result);
                if (results.Count == Count / 3)
                {
                    third.SetResult();
                }
            }
        });
        var writing = Task.Run(async () =>
        {
            for (var item = 0; item < Count; item++)
            {
                await call.RequestStream.WriteAsync(PublishFixture.Event(subject, item.ToString(CultureInfo.InvariantCulture), $"kill-{item}"));
            }

            await call.RequestStream.CompleteAsync();
        });
        await third.Task;
        await fixture.Nats.KillAsync();
        await fixture.Nats.RestartAsync();
        await writing;
        await reading;

        Assert.Equal(Enumerable.Range(0, Count).Select(index => (ulong)index), results.Select(result => result.Index));
        var stored = (await fixture.StoredAsync(subject)).ToDictionary(message => message.Metadata!.Value.Sequence.Stream, PublishFixture.Text);
        Assert.Equal(stored.Count, stored.Values.Distinct().Count());
        Assert.All(results.Where(result => result.OutcomeCase == PublishResult.OutcomeOneofCase.Stored), result =>
            Assert.Equal(result.Index.ToString(CultureInfo.InvariantCulture), stored[result.Stored.Sequence]));
        Assert.All(results.Where(result => result.OutcomeCase == PublishResult.OutcomeOneofCase.Error), result =>
            Assert.Contains(Refusal.Of(result.Error).Reason, (string[])["OUTCOME_UNKNOWN", "NATS_UNAVAILABLE"]));

        // Whatever was unknown is known after a repeat, and nothing is there twice.
        foreach (var result in results.Where(result => result.OutcomeCase == PublishResult.OutcomeOneofCase.Error))
        {
            var repeat = await fixture.Client.PublishAsync(PublishFixture.Event(subject, $"{result.Index}", $"kill-{result.Index}"), deadline: PublishFixture.Deadline());
            Assert.True(repeat.Sequence > 0);
        }

        Assert.Equal(Count, (await fixture.StoredAsync(subject)).Count);
    }

    [Fact]
    public async Task Nats_down_is_unavailable_not_ready_and_passes()
    {
        // Its answer comes when the time for a call is over, which is less than the client's patience.
        await using var service = await fixture.StartServiceAsync(new Dictionary<string, string?> { ["Publish__MaxDeadline"] = "00:00:05" });
        using var channel = GrpcChannel.ForAddress(service.GrpcUrl);
        var client = new PublishApi.PublishServiceClient(channel);
        var subject = fixture.NewSubject();
        await fixture.Nats.KillAsync();
        var refused = await Assert.ThrowsAsync<RpcException>(
            async () => await client.PublishAsync(PublishFixture.Event(subject, "1", "down"), deadline: PublishFixture.Deadline()));
        var health = await service.HealthAsync();
        await fixture.Nats.RestartAsync();
        await service.ReadyAsync();
        var stored = await client.PublishAsync(PublishFixture.Event(subject, "1", "down"), deadline: PublishFixture.Deadline());

        Assert.Equal(StatusCode.Unavailable, Refusal.Of(refused).Code);
        Assert.Equal(503, health.Status);
        Assert.Contains("nats", health.Body, StringComparison.Ordinal);
        Assert.Single(await fixture.StoredAsync(subject));
        Assert.True(stored.Sequence > 0);
    }

    [Fact]
    public async Task A_service_that_is_told_to_stop_answers_what_it_has_read()
    {
        var service = await fixture.StartServiceAsync();
        await using var owned = service;
        using var channel = GrpcChannel.ForAddress(service.GrpcUrl);
        var client = new PublishApi.PublishServiceClient(channel);
        var subject = fixture.NewSubject();
        using var call = client.PublishStream();
        var answered = 0;
        for (; answered < 50; answered++)
        {
            await call.RequestStream.WriteAsync(PublishFixture.Event(subject, $"{answered}"));
            Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        }

        var stopping = service.TerminateAsync();
        var end = await Assert.ThrowsAsync<RpcException>(async () => await call.ResponseStream.MoveNext(CancellationToken.None));

        Assert.Equal(0, await stopping);
        Assert.Equal((StatusCode.Unavailable, "STOPPING"), (end.StatusCode, Refusal.Of(end).Reason));
        Assert.Equal(50, (await fixture.StoredAsync(subject)).Count);

        // Its rows are written before it ends.
        Assert.Equal(50, await fixture.ScalarAsync<long>("SELECT count(*) FROM rule_nats_publish_history WHERE subject = $1 AND state = 'stored'", subject));
    }

    [Fact]
    public async Task Two_replicas_agree_about_an_id()
    {
        await using var service = await fixture.StartServiceAsync();
        using var channel = GrpcChannel.ForAddress(service.GrpcUrl);
        var other = new PublishApi.PublishServiceClient(channel);
        var (id, _, subject) = await fixture.NewWebhookAsync();

        var first = await fixture.Client.PublishAsync(PublishFixture.Event(id, "1", "replica"));
        var second = await other.PublishAsync(PublishFixture.Event(id, "1", "replica"));
        var third = await Assert.ThrowsAsync<RpcException>(async () => await other.PublishAsync(PublishFixture.Event(id, "2", "replica")));

        Assert.True(second.Duplicate);
        Assert.Equal(first.Sequence, second.Sequence);
        Assert.Equal(StatusCode.AlreadyExists, third.StatusCode);
        Assert.Single(await fixture.StoredAsync(subject));
    }

    [Fact]
    public async Task A_deadline_of_the_client_that_passes_first_is_deadline_exceeded()
    {
        await fixture.Client.PoolStatsAsync(new PoolStatsRequest());
        fixture.Service.Pause();
        try
        {
            var exception = await Assert.ThrowsAsync<RpcException>(async () => await fixture.Client.PublishAsync(
                PublishFixture.Event(fixture.NewSubject()), deadline: DateTime.UtcNow.AddMilliseconds(200)));

            Assert.Equal(StatusCode.DeadlineExceeded, exception.StatusCode);
        }
        finally
        {
            fixture.Service.Resume();
        }
    }

    [Fact]
    public async Task Too_many_calls_at_once_are_refused_and_the_others_served()
    {
        await using var service = await fixture.StartServiceAsync(new Dictionary<string, string?> { ["Publish__ConcurrentCalls"] = "2", ["Publish__QueuedCalls"] = "2" });
        using var channel = GrpcChannel.ForAddress(service.GrpcUrl);
        var client = new PublishApi.PublishServiceClient(channel);
        await client.PublishAsync(PublishFixture.Event(fixture.NewSubject()), deadline: PublishFixture.Deadline());
        var subject = fixture.NewSubject();
        fixture.Nats.Pause();
        Task<PublishResponse>[] calls;
        try
        {
            calls = [.. Enumerable.Range(0, 10).Select(item => client.PublishAsync(PublishFixture.Event(subject, $"{item}"), deadline: PublishFixture.Deadline()).ResponseAsync)];
            await Wait.UntilAsync(() => calls.Count(call => call.IsFaulted) == 6, "six calls are refused");
        }
        finally
        {
            fixture.Nats.Resume();
        }

        var refused = calls.Where(call => call.IsFaulted).Select(call => Refusal.Of((RpcException)call.Exception!.InnerException!)).ToArray();
        Assert.All(refused, refusal => Assert.Equal((StatusCode.ResourceExhausted, "OVERLOADED"), (refusal.Code, refusal.Reason)));
        await Task.WhenAll(calls.Where(call => !call.IsFaulted));
        Assert.Equal(4, (await fixture.StoredAsync(subject)).Count);
    }

    [Fact]
    public async Task The_pool_shows_its_connections()
    {
        await fixture.Client.PublishAsync(PublishFixture.Event(fixture.NewSubject()), deadline: PublishFixture.Deadline());

        var stats = await fixture.Client.PoolStatsAsync(new PoolStatsRequest());

        Assert.Equal(2, stats.TotalConnections);
        Assert.Equal(2, stats.HealthyConnections);
        Assert.Equal(100, stats.HealthPercentage);
        Assert.Equal(10, stats.MaxConnections);
        Assert.True(stats.RequestsServed >= 1);
        Assert.All(stats.Connections, connection => Assert.Equal("open", connection.State));
        Assert.Equal([0, 1], stats.Connections.Select(connection => connection.Index));
    }

    [Fact]
    public async Task Grpc_health_serves()
    {
        var health = new Health.HealthClient(fixture.Channel);
        await Wait.UntilAsync(
            async () => (await health.CheckAsync(new HealthCheckRequest())).Status == HealthCheckResponse.Types.ServingStatus.Serving, "the service reports that it serves");
    }

    [Fact]
    public async Task Without_postgres_a_remembered_id_is_unavailable_and_the_rest_published()
    {
        var postgres = await PostgresServer.StartPrivateAsync();
        await using var owned = postgres;
        var connectionString = await postgres.CreateDatabaseAsync();
        await using var service = await ServiceProcess.StartAsync("PublishService", new Dictionary<string, string?>
        {
            ["ConnectionStrings__rules"] = connectionString,
            ["ConnectionStrings__nats"] = fixture.Nats.Url,
        });
        await using var database = Npgsql.NpgsqlDataSource.Create(connectionString);
        await using var insert = database.CreateCommand(
            "INSERT INTO rule_webhooks (webhook_name, url, nats_enabled, nats_subject, publish_mode) VALUES ('w', 'http://127.0.0.1/x', true, 'events.nopg', 'nats') RETURNING webhook_id");
        var id = (int)(await insert.ExecuteScalarAsync())!;
        using var channel = GrpcChannel.ForAddress(service.GrpcUrl);
        var client = new PublishApi.PublishServiceClient(channel);
        await client.PublishAsync(PublishFixture.Event(id, "0"), deadline: PublishFixture.Deadline());
        await postgres.KillAsync();

        var exception = await Assert.ThrowsAsync<RpcException>(async () => await client.PublishAsync(PublishFixture.Event(id, "1", "id"), deadline: PublishFixture.Deadline()));
        var stored = await client.PublishAsync(PublishFixture.Event(id, "2"), deadline: PublishFixture.Deadline());
        await postgres.RestartAsync();

        Assert.Equal((StatusCode.Unavailable, "HISTORY_UNAVAILABLE"), (exception.StatusCode, Refusal.Of(exception).Reason));
        Assert.True(stored.Sequence > 0);
        await Wait.UntilAsync(
            async () =>
            {
                await using var count = database.CreateCommand("SELECT count(*) FROM rule_nats_publish_history WHERE subject = 'events.nopg' AND state = 'stored'");
                return await count.ExecuteScalarAsync() is 2L;
            },
            "the row that waited for PostgreSQL is written");
    }
}
