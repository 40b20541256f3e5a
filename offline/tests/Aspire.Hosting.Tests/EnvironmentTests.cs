using System.Globalization;
using Npgsql;

namespace RuleEngineNats.Offline.Hosting;

public sealed class EnvironmentTests(TestGraph graph) : IClassFixture<TestGraph>
{
    [Fact]
    public async Task A_child_finds_connection_strings_and_their_properties()
    {
        var environment = await graph.EnvironmentOf("service");
        var rules = await graph.App.GetConnectionStringAsync("rules", Deadline.Token());
        var nats = await graph.App.GetConnectionStringAsync("nats", Deadline.Token());
        var parts = new NpgsqlConnectionStringBuilder(rules);

        Assert.Equal(rules, environment["ConnectionStrings__rules"]);
        Assert.Equal(nats, environment["ConnectionStrings__nats"]);
        Assert.Equal($"Host=localhost;Port={parts.Port};Username=postgres;Password={parts.Password};Database=rules", rules);
        Assert.Equal("localhost", environment["RULES_HOST"]);
        Assert.Equal(parts.Port.ToString(CultureInfo.InvariantCulture), environment["RULES_PORT"]);
        Assert.Equal("postgres", environment["RULES_USERNAME"]);
        Assert.Equal(parts.Password, environment["RULES_PASSWORD"]);
        Assert.Equal("rules", environment["RULES_DATABASENAME"]);
        Assert.Equal($"postgresql://postgres:{Uri.EscapeDataString(parts.Password!)}@localhost:{parts.Port}/rules", environment["RULES_URI"]);
        Assert.Equal($"jdbc:postgresql://localhost:{parts.Port}/rules", environment["RULES_JDBCCONNECTIONSTRING"]);
        Assert.Equal(nats, environment["NATS_URI"]);
        Assert.Equal("nats", environment["NATS_USERNAME"]);
        Assert.Equal($"hello from {environment["NATS_PORT"]}", environment["GREETING"]);
    }

    [Fact]
    public async Task A_child_finds_the_endpoints_of_another_under_both_names()
    {
        var environment = await graph.EnvironmentOf("caller");
        var http = graph.App.GetEndpoint("service", "http").OriginalString.TrimEnd('/');
        var grpc = graph.App.GetEndpoint("service", "grpc").OriginalString.TrimEnd('/');

        Assert.Equal(http, environment["services__service__http__0"]);
        Assert.Equal(http, environment["SERVICE_HTTP"]);
        Assert.Equal(grpc, environment["services__service__grpc__0"]);
        Assert.Equal(grpc, environment["SERVICE_GRPC"]);
    }

    [Fact]
    public async Task Kestrel_endpoints_of_the_project_become_endpoints_of_the_resource()
    {
        var endpoints = graph.Resource("service").Annotations.OfType<EndpointAnnotation>().ToDictionary(static endpoint => endpoint.Name);
        var environment = await graph.EnvironmentOf("service");

        Assert.Equal(["grpc", "http"], endpoints.Keys.Order());
        Assert.Equal("http2", endpoints["grpc"].Transport);
        Assert.Equal("http", endpoints["http"].Transport);
        Assert.StartsWith("http://localhost:", environment["Kestrel__Endpoints__http__Url"], StringComparison.Ordinal);
        Assert.StartsWith("http://localhost:", environment["Kestrel__Endpoints__grpc__Url"], StringComparison.Ordinal);
        Assert.False(environment.ContainsKey("ASPNETCORE_URLS"));
    }

    [Fact]
    public async Task Without_kestrel_endpoints_the_launch_profile_gives_address_and_environment()
    {
        var environment = await graph.EnvironmentOf("caller");

        Assert.Equal(graph.App.GetEndpoint("caller", "http").OriginalString.TrimEnd('/'), environment["ASPNETCORE_URLS"]);
        Assert.Equal("yes", environment["FROM_PROFILE"]);
        Assert.Equal("Development", environment["ASPNETCORE_ENVIRONMENT"]);
        Assert.Equal("http", environment["DOTNET_LAUNCH_PROFILE"]);
    }

    [Fact]
    public async Task A_child_is_told_where_its_telemetry_goes()
    {
        var environment = await graph.EnvironmentOf("caller");

        Assert.Equal("http://localhost:4317", environment["OTEL_EXPORTER_OTLP_ENDPOINT"]);
        Assert.Equal("grpc", environment["OTEL_EXPORTER_OTLP_PROTOCOL"]);
        Assert.Equal("caller", environment["OTEL_SERVICE_NAME"]);
        Assert.StartsWith("x-otlp-api-key=", environment["OTEL_EXPORTER_OTLP_HEADERS"], StringComparison.Ordinal);
        Assert.StartsWith("service.instance.id=", environment["OTEL_RESOURCE_ATTRIBUTES"], StringComparison.Ordinal);
        Assert.Equal("always_on", environment["OTEL_TRACES_SAMPLER"]);
    }

    [Fact]
    public void Under_test_ports_are_free_ones_and_not_those_of_the_projects()
    {
        Assert.NotEqual(15881, graph.App.GetEndpoint("service", "http").Port);
        Assert.NotEqual(15883, graph.App.GetEndpoint("caller").Port);
    }

    [Fact]
    public async Task The_server_runs_with_the_arguments_given_and_holds_the_database()
    {
        await using var connection = new NpgsqlConnection(await graph.App.GetConnectionStringAsync("rules", Deadline.Token()));
        await connection.OpenAsync(Deadline.Token());
        await using var command = new NpgsqlCommand("SELECT current_setting('wal_level') || ' ' || current_database()", connection);

        Assert.Equal("logical rules", await command.ExecuteScalarAsync(Deadline.Token()));
    }

    [Fact]
    public async Task No_secret_is_in_any_command_line()
    {
        var rules = new NpgsqlConnectionStringBuilder(await graph.App.GetConnectionStringAsync("rules", Deadline.Token()));
        var nats = new Uri((await graph.App.GetConnectionStringAsync("nats", Deadline.Token()))!);
        var children = Processes.ChildrenOf(Environment.ProcessId).Select(Processes.CommandLineOf).ToArray();

        Assert.Contains(children, static line => line.Contains("nats-server", StringComparison.Ordinal));
        Assert.Contains(children, static line => line.Contains("postgres", StringComparison.Ordinal));
        Assert.All(children, line =>
        {
            Assert.DoesNotContain(rules.Password!, line, StringComparison.Ordinal);
            Assert.DoesNotContain(nats.UserInfo.Split(':')[1], line, StringComparison.Ordinal);
        });
    }
}
