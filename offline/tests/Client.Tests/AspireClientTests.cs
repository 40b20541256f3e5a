using Aspire.Npgsql;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using NATS.Client.Core;
using NATS.Client.JetStream;
using Npgsql;

namespace RuleEngineNats.Offline.Clients;

public sealed class AspireClientTests
{
    [Fact]
    public void Settings_come_from_the_section_then_its_named_part_then_the_connection_string_then_the_callback()
    {
        var builder = NewBuilder(
            ("Aspire:Npgsql:ConnectionString", "Host=section"),
            ("Aspire:Npgsql:DisableMetrics", "true"),
            ("Aspire:Npgsql:rules:DisableTracing", "true"),
            ("ConnectionStrings:rules", "Host=named"));
        NpgsqlSettings? seen = null;
        builder.AddNpgsqlDataSource("rules", settings => seen = settings, static source => source.ConnectionStringBuilder.ApplicationName = "test");
        using var host = builder.Build();

        Assert.Equal("Host=named", seen!.ConnectionString);
        Assert.True(seen.DisableMetrics);
        Assert.True(seen.DisableTracing);
        Assert.False(seen.DisableHealthChecks);
        Assert.Equal("Host=named;Application Name=test", host.Services.GetRequiredService<NpgsqlDataSource>().ConnectionString);
    }

    [Fact]
    public void A_missing_connection_string_is_an_error_where_the_client_is_first_used()
    {
        var builder = NewBuilder();
        builder.AddNpgsqlDataSource("rules");
        builder.AddNatsClient("nats");
        using var host = builder.Build();

        Assert.Contains("ConnectionStrings:rules", Assert.Throws<InvalidOperationException>(() => host.Services.GetRequiredService<NpgsqlDataSource>()).Message, StringComparison.Ordinal);
        Assert.Contains("nats", Assert.Throws<InvalidOperationException>(() => host.Services.GetRequiredService<INatsConnection>()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Each_client_has_one_health_check_by_its_name_unless_it_is_turned_off()
    {
        var builder = NewBuilder(("ConnectionStrings:rules", "Host=localhost"), ("ConnectionStrings:nats", "nats://localhost"));
        builder.AddNpgsqlDataSource("rules");
        builder.AddNpgsqlDataSource("rules");
        builder.AddKeyedNpgsqlDataSource("other");
        builder.AddNatsClient("nats");
        builder.AddKeyedNatsClient("second");
        builder.AddKeyedNatsClient("silent", static settings => settings.DisableHealthChecks = true);
        using var host = builder.Build();

        var names = host.Services.GetRequiredService<IOptions<HealthCheckServiceOptions>>().Value.Registrations.Select(static registration => registration.Name);

        Assert.Equal(["NATS", "NATS_second", "PostgreSql", "PostgreSql_other"], names.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_server_that_is_not_there_is_unhealthy()
    {
        var builder = NewBuilder(("ConnectionStrings:rules", "Host=127.0.0.1;Port=1;Timeout=5"), ("ConnectionStrings:nats", "nats://127.0.0.1:1"));
        builder.AddNpgsqlDataSource("rules");
        builder.AddNatsClient("nats");
        using var host = builder.Build();

        var report = await host.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync(GrpcServer.Deadline());

        Assert.Equal(HealthStatus.Unhealthy, report.Entries["PostgreSql"].Status);
        Assert.Equal(HealthStatus.Unhealthy, report.Entries["NATS"].Status);
    }

    [Fact]
    public void The_url_of_the_connection_string_is_applied_after_the_options_callback()
    {
        var builder = NewBuilder(("ConnectionStrings:nats", "nats://given:4222"));
        builder.AddNatsClient("nats", static options => options with { Url = "nats://callback:4222", Name = "callback" });
        builder.AddNatsJetStream();
        using var host = builder.Build();

        var connection = host.Services.GetRequiredService<INatsConnection>();

        Assert.Equal("nats://given:4222", connection.Opts.Url);
        Assert.Equal("callback", connection.Opts.Name);
        Assert.Same(connection, host.Services.GetRequiredService<NatsConnection>());
        Assert.Same(connection, host.Services.GetRequiredService<INatsClient>());
        Assert.Same(connection, host.Services.GetRequiredService<INatsJSContext>().Connection);
    }

    private static HostApplicationBuilder NewBuilder(params (string Key, string Value)[] settings)
    {
        var builder = new HostApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        builder.Configuration.AddInMemoryCollection(settings.Select(static setting => KeyValuePair.Create(setting.Key, (string?)setting.Value)).ToArray());
        return builder;
    }
}
