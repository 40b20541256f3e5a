using System.Net;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.ConfigService.Tests.Streams;

[Collection(nameof(RunningService))]
[Trait("Category", "Servers")]
public sealed class StreamTests(RunningService service) : IAsyncLifetime
{
    private const string Path = "/api/v1/streams";

    private NatsConnection _nats = null!;
    private NatsJSContext _jetStream = null!;

    public async Task InitializeAsync()
    {
        _nats = new NatsConnection(NatsOpts.Default with { Url = service.Nats.Url });
        await _nats.ConnectAsync();
        _jetStream = new NatsJSContext(_nats);
    }

    public async Task DisposeAsync() => await _nats.DisposeAsync();

    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(2);

    private Task<string> StateAsync(string name)
        => service.ScalarAsync<string>("SELECT server_state || '|' || coalesce(server_detail, '') FROM rule_nats_streams WHERE stream_name = $1", name);

    [Fact]
    public async Task The_stream_of_the_migrations_exists_on_the_server_as_defined()
    {
        var config = (await _jetStream.GetStreamAsync("WEBHOOKS")).Info.Config;
        Assert.Equal(["webhooks.>", "events.>"], config.Subjects!);
        Assert.Equal(StreamConfigDiscard.New, config.Discard);
        Assert.Equal(TimeSpan.FromMinutes(2), config.DuplicateWindow);

        var found = await service.GetAsync($"{Path}/WEBHOOKS");
        Assert.Equal("created", found.Json["provisioning"]!["state"]!.GetValue<string>());
        Assert.Empty(found.Json["provisioning"]!["differences"]!.AsArray());
    }

    [Fact]
    public async Task A_stream_defined_in_SQL_is_created_on_the_server()
    {
        var name = RunningService.Unique("sql");
        await service.ScalarAsync<int>("SELECT rule_nats_stream_create($1, ARRAY[$1 || '.>'])", name);

        await Wait.UntilAsync(async () => await ExistsAsync(name), "the stream is on the server");
        await Wait.UntilAsync(
            async () => (await service.GetAsync($"{Path}/{name}")).Json["provisioning"]!["state"]!.GetValue<string>() == "created",
            "its row says so");
        Assert.Equal([$"{name}.>"], (await _jetStream.GetStreamAsync(name)).Info.Config.Subjects!);
    }

    [Fact]
    public async Task Every_setting_of_a_row_reaches_the_server_and_a_changed_row_is_reported()
    {
        var name = RunningService.Unique("row");
        await service.ExecuteAsync($"""
            INSERT INTO rule_nats_streams (config_id, stream_name, subjects, description, storage_type, max_messages, max_bytes, max_age_seconds, retention_policy,
                                           discard_policy, replicas, duplicate_window_seconds)
            SELECT config_id, '{name}', ARRAY['{name}.>'], 'd', 'memory', 1000, 1000000, 3600, 'workqueue', 'old', 1, 30 FROM rule_nats_config WHERE config_name = 'default'
            """);
        await Wait.UntilAsync(async () => await StateAsync(name) == "created|", "the stream is created", Soon);
        var config = (await _jetStream.GetStreamAsync(name)).Info.Config;
        Assert.Equal(("d", StreamConfigStorage.Memory, 1000L, 1_000_000L, TimeSpan.FromHours(1)), (config.Description, config.Storage, config.MaxMsgs, config.MaxBytes, config.MaxAge));
        Assert.Equal((StreamConfigRetention.Workqueue, StreamConfigDiscard.Old, 1, TimeSpan.FromSeconds(30)), (config.Retention, config.Discard, config.NumReplicas, config.DuplicateWindow));

        await service.ExecuteAsync($"UPDATE rule_nats_streams SET max_messages = 2000, duplicate_window_seconds = 60 WHERE stream_name = '{name}'");
        await Wait.UntilAsync(
            async () => await StateAsync(name) == "differs|max_messages is 1000, defined as 2000; duplicate_window is 00:00:30, defined as 00:01:00", "the difference is reported", Soon);
        Assert.Equal(1000, (await _jetStream.GetStreamAsync(name)).Info.Config.MaxMsgs);
        await service.ExecuteAsync($"DELETE FROM rule_nats_streams WHERE stream_name = '{name}'");
    }

    [Theory]
    [InlineData("replicas", "replicas > 1 not supported")]
    [InlineData("foreign", "subjects overlap")]
    [InlineData("away", "no connection to nats-server")]
    public async Task Why_a_stream_cannot_be_is_in_its_row_within_two_seconds(string how, string detail)
    {
        var name = RunningService.Unique(how);
        await _jetStream.CreateStreamAsync(new StreamConfig(name + "_theirs", [$"{name}.theirs.>"]));
        await service.ScalarAsync<bool>("SELECT rule_nats_configure('away', $1)", $"nats://127.0.0.1:{Ports.Free()}");
        await service.ExecuteAsync($"""
            INSERT INTO rule_nats_streams (config_id, stream_name, subjects, replicas)
            SELECT config_id, '{name}', ARRAY['{name}.{(how == "foreign" ? ">" : "ours")}'], {(how == "replicas" ? 3 : 1)}
              FROM rule_nats_config WHERE config_name = '{(how == "away" ? "away" : "default")}'
            """);
        await Wait.UntilAsync(async () => (await StateAsync(name)).StartsWith("failed|", StringComparison.Ordinal), "the failure is reported", Soon);
        Assert.Contains(detail, await StateAsync(name), StringComparison.Ordinal);

        // It holds up no other.
        var next = RunningService.Unique("next");
        await service.ScalarAsync<int>("SELECT rule_nats_stream_create($1, ARRAY[$1 || '.>'])", next);
        await Wait.UntilAsync(async () => await StateAsync(next) == "created|", "another stream is created", Soon);
        await service.ExecuteAsync($"DELETE FROM rule_nats_streams WHERE stream_name = '{name}'; DELETE FROM rule_nats_config WHERE config_name = 'away'");
    }

    [Fact]
    public async Task A_stream_defined_here_is_on_the_server_when_the_answer_comes()
    {
        var name = RunningService.Unique("rest");
        var created = await service.PostAsync(Path, $$"""
            {"name":"{{name}}","subjects":["{{name}}.a","{{name}}.b.*"],"description":"d","retention":"interest","maxAgeSeconds":3600,"storage":"memory",
             "maxMessages":1000,"maxBytes":1000000,"discard":"old","replicas":1,"duplicateWindowSeconds":60}
            """);

        Assert.Equal(HttpStatusCode.Created, created.Status);
        Assert.Equal($"{Path}/{name}?connection=default", created.Location);
        Assert.True(created.Json["created"]!.GetValue<bool>());
        Assert.Empty(created.Json["notices"]!.AsArray());
        var config = (await _jetStream.GetStreamAsync(name)).Info.Config;
        Assert.Equal([$"{name}.a", $"{name}.b.*"], config.Subjects!);
        Assert.Equal(StreamConfigStorage.Memory, config.Storage);
        Assert.Equal(StreamConfigRetention.Interest, config.Retention);
        Assert.Equal(StreamConfigDiscard.Old, config.Discard);
        Assert.Equal((1000, 1_000_000), (config.MaxMsgs, config.MaxBytes));
        Assert.Equal((TimeSpan.FromHours(1), TimeSpan.FromMinutes(1)), (config.MaxAge, config.DuplicateWindow));
        Assert.Equal("created", created.Json["stream"]!["provisioning"]!["state"]!.GetValue<string>());
        Assert.Equal(0, created.Json["stream"]!["server"]!["messages"]!.GetValue<long>());
    }

    [Fact]
    public async Task What_the_server_holds_is_shown()
    {
        var name = RunningService.Unique("held");
        await service.PostAsync(Path, $$"""{"name":"{{name}}","subjects":["{{name}}.>"]}""");
        for (var number = 0; number < 3; number++)
        {
            (await _jetStream.PublishAsync($"{name}.x", "{}"u8.ToArray())).EnsureSuccess();
        }

        await _jetStream.CreateOrUpdateConsumerAsync(name, new ConsumerConfig("reader"));
        var server = (await service.GetAsync($"{Path}/{name}")).Json["server"]!;
        Assert.Equal(3, server["messages"]!.GetValue<long>());
        Assert.Equal((1L, 3L), (server["firstSequence"]!.GetValue<long>(), server["lastSequence"]!.GetValue<long>()));
        Assert.True(server["bytes"]!.GetValue<long>() > 0);
        Assert.Equal(1, server["consumers"]!.GetValue<long>());
        Assert.Equal([$"{name}.>"], server["subjects"]!.AsArray().Select(subject => subject!.GetValue<string>()));

        var list = await service.GetAsync($"{Path}?connection=default");
        Assert.Equal(3, list.Json["items"]!.AsArray().Single(item => item!["name"]!.GetValue<string>() == name)!["server"]!["messages"]!.GetValue<long>());
        Assert.Empty((await service.GetAsync($"{Path}?connection=no-such")).Json["items"]!.AsArray());
    }

    [Fact]
    public async Task A_stream_that_exists_and_differs_is_reported_and_not_changed()
    {
        var name = RunningService.Unique("differs");
        await _jetStream.CreateStreamAsync(new StreamConfig(name, [$"{name}.old"])
        {
            Storage = StreamConfigStorage.Memory,
            MaxAge = TimeSpan.FromHours(5),
            Discard = StreamConfigDiscard.Old,
        });

        var created = await service.PostAsync(Path, $$"""{"name":"{{name}}","subjects":["{{name}}.new"]}""");
        Assert.Equal(HttpStatusCode.Created, created.Status);
        var provisioning = created.Json["stream"]!["provisioning"]!;
        Assert.Equal("differs", provisioning["state"]!.GetValue<string>());
        var differences = string.Join('\n', provisioning["differences"]!.AsArray().Select(difference => difference!.GetValue<string>()));
        Assert.Contains($"does not take {name}.new", differences, StringComparison.Ordinal);
        Assert.Contains("storage", differences, StringComparison.Ordinal);
        Assert.Contains("discard", differences, StringComparison.Ordinal);
        Assert.Contains("max_age", differences, StringComparison.Ordinal);

        var config = (await _jetStream.GetStreamAsync(name)).Info.Config;
        Assert.Equal([$"{name}.old"], config.Subjects!);
        Assert.Equal((StreamConfigStorage.Memory, TimeSpan.FromHours(5)), (config.Storage, config.MaxAge));
        Assert.Equal("differs", await service.ScalarAsync<string>("SELECT server_state FROM rule_nats_streams WHERE stream_name = $1", name));
    }

    [Fact]
    public async Task A_definition_that_exists_and_covers_the_request_is_returned_with_its_differences()
    {
        var name = RunningService.Unique("covers");
        await service.PostAsync(Path, $$"""{"name":"{{name}}","subjects":["{{name}}.>"]}""");
        var again = await service.PostAsync(Path, $$"""{"name":"{{name}}","subjects":["{{name}}.a"],"maxAgeSeconds":60,"storage":"memory"}""");
        Assert.Equal(HttpStatusCode.OK, again.Status);
        Assert.False(again.Json["created"]!.GetValue<bool>());
        Assert.Equal([$"{name}.>"], again.Json["stream"]!["subjects"]!.AsArray().Select(subject => subject!.GetValue<string>()));
        Assert.Equal("file", again.Json["stream"]!["storage"]!.GetValue<string>());
        Assert.Contains(again.Json["notices"]!.AsArray(), notice => notice!.GetValue<string>().Contains("max_age_seconds", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_definition_that_exists_and_does_not_cover_the_request_is_a_conflict()
    {
        var name = RunningService.Unique("taken");
        await service.PostAsync(Path, $$"""{"name":"{{name}}","subjects":["{{name}}.a"]}""");
        (await service.PostAsync(Path, $$"""{"name":"{{name}}","subjects":["{{name}}.b"]}""")).IsProblem(409, "already_exists");
    }

    [Fact]
    public async Task Subjects_of_another_stream_are_a_conflict()
    {
        var name = RunningService.Unique("overlap");
        var problem = (await service.PostAsync(Path, $$"""{"name":"{{name}}","subjects":["events.orders"]}""")).IsProblem(409, "conflict");
        Assert.Contains("overlap with those of stream WEBHOOKS", problem.Text("detail"), StringComparison.Ordinal);
        Assert.False(await ExistsAsync(name));
    }

    [Fact]
    public async Task Subjects_that_overlap_each_other_are_refused()
    {
        var name = RunningService.Unique("self");
        var problem = (await service.PostAsync(Path, $$"""{"name":"{{name}}","subjects":["{{name}}.>","{{name}}.a"]}""")).IsProblem(400, "invalid_value");
        Assert.Contains("overlap", problem.Text("detail"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_stream_that_the_server_refuses_is_reported_with_its_reason()
    {
        var name = RunningService.Unique("refused");
        // Known to the server alone, so that only the server can refuse.
        await _jetStream.CreateStreamAsync(new StreamConfig(name + "_other", [$"{name}.>"]));
        var created = await service.PostAsync(Path, $$"""{"name":"{{name}}","subjects":["{{name}}.a"]}""");
        Assert.Equal(HttpStatusCode.Created, created.Status);
        Assert.Equal("failed", created.Json["stream"]!["provisioning"]!["state"]!.GetValue<string>());
        Assert.Contains("overlap", created.Json["stream"]!["provisioning"]!["error"]!.GetValue<string>(), StringComparison.Ordinal);
        Assert.Null(created.Json["stream"]!["server"]);
        // One bad definition does not make the service unavailable.
        Assert.Equal(200, (await service.Service.HealthAsync()).Status);
        await service.ExecuteAsync($"DELETE FROM rule_nats_streams WHERE stream_name = '{name}'");
    }

    [Fact]
    public async Task A_stream_that_somebody_deleted_comes_back_with_the_next_change()
    {
        var name = RunningService.Unique("deleted");
        await service.PostAsync(Path, $$"""{"name":"{{name}}","subjects":["{{name}}.>"]}""");
        (await _jetStream.PublishAsync($"{name}.x", "{}"u8.ToArray())).EnsureSuccess();
        Assert.Equal(1, (await _jetStream.GetStreamAsync(name)).Info.State.Messages);
        await _jetStream.DeleteStreamAsync(name);
        await service.ScalarAsync<int>("SELECT rule_nats_stream_create($1, ARRAY[$1 || '.>'])", RunningService.Unique("next"));
        // Its message is not: what is there now is another stream, made from the definition.
        await Wait.UntilAsync(async () => await ExistsAsync(name), "the stream is back");
        Assert.Equal(0, (await _jetStream.GetStreamAsync(name)).Info.State.Messages);
    }

    [Theory]
    [InlineData("A.B")]
    [InlineData("A*")]
    [InlineData("../x")]
    [InlineData("a b")]
    [InlineData("")]
    [InlineData("é")]
    public async Task A_stream_name_that_cannot_be_one_is_refused(string name)
        => (await service.PostAsync(Path, $$"""{"name":"{{name}}","subjects":["some.subject"]}""")).IsProblem(400, "invalid_stream_name");

    [Fact]
    public async Task A_stream_name_of_256_characters_is_refused()
        => Assert.Equal(255, (await service.PostAsync(Path, $$"""{"name":"{{new string('s', 256)}}","subjects":["some.subject"]}"""))
            .IsProblem(400, "invalid_stream_name").Errors()["name"].Limit);

    [Theory]
    [InlineData("""{"name":"S"}""", "required")]
    [InlineData("""{"name":"S","subjects":null}""", "required")]
    [InlineData("""{"name":"S","subjects":[]}""", "invalid_value")]
    [InlineData("""{"name":"S","subjects":"a"}""", "wrong_type")]
    [InlineData("""{"name":"S","subjects":["some.subject",null]}""", "invalid_subject")]
    [InlineData("""{"name":"S","subjects":["some.subject"],"retention":"forever"}""", "invalid_value")]
    [InlineData("""{"name":"S","subjects":["some.subject"],"storage":"tape"}""", "invalid_value")]
    [InlineData("""{"name":"S","subjects":["some.subject"],"discard":"all"}""", "invalid_value")]
    [InlineData("""{"name":"S","subjects":["some.subject"],"maxAgeSeconds":-1}""", "out_of_range")]
    [InlineData("""{"name":"S","subjects":["some.subject"],"maxMessages":-2}""", "out_of_range")]
    [InlineData("""{"name":"S","subjects":["some.subject"],"maxBytes":-2}""", "out_of_range")]
    [InlineData("""{"name":"S","subjects":["some.subject"],"replicas":0}""", "out_of_range")]
    [InlineData("""{"name":"S","subjects":["some.subject"],"replicas":6}""", "out_of_range")]
    [InlineData("""{"name":"S","subjects":["some.subject"],"duplicateWindowSeconds":0}""", "out_of_range")]
    [InlineData("""{"name":"S","subjects":["some.subject"],"maxMsgs":1}""", "unknown_field")]
    public async Task A_definition_that_cannot_be_one_is_refused(string body, string code)
    {
        (await service.PostAsync(Path, body)).IsProblem(400, code);
        (await service.GetAsync($"{Path}/S")).IsProblem(404, "stream_not_found");
    }

    [Fact]
    public async Task A_thousand_subjects_are_too_many()
    {
        var subjects = string.Join(',', Enumerable.Range(0, 1000).Select(number => $"\"many.s{number}\""));
        Assert.Equal(64, (await service.PostAsync(Path, $$"""{"name":"S","subjects":[{{subjects}}]}""")).IsProblem(413, "too_large").Errors()["subjects"].Limit);
    }

    [Fact]
    public async Task A_stream_of_an_unknown_connection_is_not_found()
    {
        (await service.PostAsync(Path, """{"name":"S","subjects":["some.subject"],"connection":"no-such"}""")).IsProblem(404, "connection_not_found");
        (await service.GetAsync($"{Path}/WEBHOOKS?connection=no-such")).IsProblem(404, "stream_not_found");
        (await service.GetAsync($"{Path}/NO_SUCH")).IsProblem(404, "stream_not_found");
    }

    private async Task<bool> ExistsAsync(string name)
    {
        try
        {
            await _jetStream.GetStreamAsync(name);
            return true;
        }
        catch (NatsJSApiException exception) when (exception.Error.Code == 404)
        {
            return false;
        }
    }
}
