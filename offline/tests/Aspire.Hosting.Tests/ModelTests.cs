using Npgsql;

namespace RuleEngineNats.Offline.Hosting;

public sealed class ModelTests
{
    [Fact]
    public void A_class_of_Projects_knows_where_its_project_is()
    {
        Assert.EndsWith(Path.Combine("Sample.Service", "Sample.Service.csproj"), new Projects.Sample_Service().ProjectPath, StringComparison.Ordinal);
        Assert.EndsWith(Path.Combine("Sample-Job", "Sample-Job.csproj"), new Projects.Sample_Job().ProjectPath, StringComparison.Ordinal);
        Assert.EndsWith("TestAppHost", Projects.TestAppHost.ProjectPath, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_parameter_comes_from_configuration_else_from_its_default()
    {
        var builder = LocalApp.NewBuilder("--Parameters:given=one");
        var given = builder.AddParameter("given", "default");
        var other = builder.AddParameter("other", () => "default", secret: true);

        Assert.Equal("one", await given.Resource.GetValueAsync(Deadline.Token()));
        Assert.Equal("default", await other.Resource.GetValueAsync(Deadline.Token()));
        Assert.True(other.Resource.Secret);
        await using var app = builder.Build();
    }

    [Fact]
    public async Task A_missing_parameter_stops_only_those_that_use_it()
    {
        var builder = LocalApp.NewBuilder();
        var missing = builder.AddParameter("missing", secret: true);
        builder.AddShell("user", "exec sleep 1000").WithEnvironment("VALUE", missing);
        builder.AddShell("other", "exec sleep 1000");
        await using var app = await builder.StartAsync();

        Assert.Equal(KnownResourceStates.FailedToStart, await app.EndOf("user"));
        Assert.Contains("Parameters:missing", await app.LogOf("user"), StringComparison.Ordinal);
        await app.ResourceNotifications.WaitForResourceHealthyAsync("other", Deadline.Token());
        await app.StopAsync(Deadline.Token());
    }

    [Fact]
    public void A_generated_value_has_the_length_and_the_kinds_of_character_asked_for()
    {
        var value = new GenerateParameterDefault { MinLength = 30, Special = false, MinNumeric = 3, MinUpper = 2 }.GetDefaultValue();

        Assert.Equal(30, value.Length);
        Assert.True(value.Count(char.IsAsciiDigit) >= 3);
        Assert.True(value.Count(char.IsAsciiLetterUpper) >= 2);
        Assert.All(value, static c => Assert.True(char.IsAsciiLetterOrDigit(c)));
    }

    [Fact]
    public async Task An_expression_keeps_braces_and_escapes_what_goes_into_a_URI()
    {
        var builder = LocalApp.NewBuilder();
        var parameter = builder.AddParameter("odd", "a b/{c}");
        var expression = ReferenceExpression.Create($"{{literal}} {parameter} {parameter:uri}");

        Assert.Equal("{literal} a b/{c} a%20b%2F%7Bc%7D", await expression.GetValueAsync(Deadline.Token()));
        await using var app = builder.Build();
    }

    [Theory]
    [InlineData("under_score")]
    [InlineData("9lives")]
    [InlineData("two--hyphens")]
    [InlineData("ends-")]
    public void A_name_that_is_no_host_name_is_refused(string name) =>
        Assert.Throws<ArgumentException>(() => LocalApp.NewBuilder().AddShell(name, "true"));

    [Fact]
    public void Two_resources_of_one_name_are_refused()
    {
        var builder = LocalApp.NewBuilder();
        builder.AddShell("same", "true");

        Assert.Throws<DistributedApplicationException>(() => builder.AddShell("Same", "true"));
    }

    [Fact]
    public async Task Publishing_is_refused()
    {
        var builder = LocalApp.NewBuilder("--operation", "publish");
        Assert.True(builder.ExecutionContext.IsPublishMode);
        await using var app = builder.Build();

        await Assert.ThrowsAsync<DistributedApplicationException>(() => app.StartAsync(Deadline.Token()));
    }

    [Fact]
    public async Task Events_come_in_order()
    {
        var events = new List<string>();
        var builder = LocalApp.NewBuilder();
        builder.OnBeforeStart((_, _) => Note("before start"));
        builder.AddShell("worker", "exec sleep 1000")
            .OnBeforeResourceStarted((_, _, _) => Note("before resource"))
            .OnResourceReady((_, _, _) => Note("ready"))
            .OnResourceStopped((_, _, _) => Note("stopped"));
        await using var app = await builder.StartAsync();
        await app.ResourceNotifications.WaitForResourceHealthyAsync("worker", Deadline.Token());
        await app.StopAsync(Deadline.Token());

        Assert.Equal(["before start", "before resource", "ready", "stopped"], events);

        Task Note(string what)
        {
            lock (events)
            {
                events.Add(what);
            }

            return Task.CompletedTask;
        }
    }

    [Fact]
    public async Task A_data_volume_outlives_the_application_and_a_creation_script_runs()
    {
        var volume = $"offline-test-{Guid.NewGuid():N}";
        try
        {
            for (var run = 1; run <= 2; run++)
            {
                var builder = LocalApp.NewBuilder("--Parameters:database-password=secret");
                var server = builder.AddPostgres("database", password: builder.AddParameter("database-password", secret: true)).WithDataVolume(volume);
                server.AddDatabase("kept", "kept_db").WithCreationScript("CREATE DATABASE kept_db CONNECTION LIMIT 7");
                await using var app = await builder.StartAsync();
                await app.ResourceNotifications.WaitForResourceHealthyAsync("kept", Deadline.Token());
                await using (var connection = new NpgsqlConnection(await app.GetConnectionStringAsync("kept", Deadline.Token()) + ";Pooling=false"))
                {
                    await connection.OpenAsync(Deadline.Token());
                    await using var command = new NpgsqlCommand(
                        "CREATE TABLE IF NOT EXISTS runs (at timestamptz DEFAULT now()); INSERT INTO runs DEFAULT VALUES; SELECT count(*) || ' of ' || datconnlimit FROM runs, pg_database WHERE datname = 'kept_db' GROUP BY datconnlimit",
                        connection);
                    Assert.Equal($"{run} of 7", await command.ExecuteScalarAsync(Deadline.Token()));
                }

                await app.StopAsync(Deadline.Token());
            }
        }
        finally
        {
            Directory.Delete(Path.Combine(Aspire.Hosting.Local.LocalDirectories.Volumes, volume), recursive: true);
        }
    }
}
