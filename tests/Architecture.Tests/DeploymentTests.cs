using System.Text.Json;
using System.Text.RegularExpressions;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.Architecture.Tests;

/// <summary>What the files of deploy/ name exists: images, settings, streams and probes.</summary>
public sealed class DeploymentTests
{
    private static readonly string[] Services = [.. Directory.GetDirectories(Repository.Path("services")).Select(folder => Path.GetFileName(folder).ToLowerInvariant())];

    private static string Text { get; } = string.Join('\n', Directory.EnumerateFiles(Repository.Path("deploy"), "*", SearchOption.AllDirectories).Select(File.ReadAllText));

    [Fact]
    public void Every_image_is_that_of_a_service()
    {
        var images = Found(@"rule-engine-nats/([a-z]+)").Concat(Found(@"""name"" ""([a-z]+)""")).ToArray();
        Assert.Contains("ingestionapi", images);
        Assert.Contains("schemamigrator", images);
        Assert.DoesNotContain(images, image => !Services.Contains(image));
    }

    [Fact]
    public void Every_setting_of_ingestion_is_one_that_both_services_list()
    {
        var settings = Found(@"(Ingestion__\w+)").ToArray();
        Assert.Contains("Ingestion__Streams__Replicas", settings);
        foreach (var service in (string[])["IngestionApi", "IngestionWorker"])
        {
            using var known = JsonDocument.Parse(File.ReadAllText(Repository.Path("services", service, "appsettings.json")));
            Assert.DoesNotContain(settings, setting => !Has(known.RootElement, setting.Split("__")));
        }
    }

    [Fact]
    public void Workers_are_scaled_by_the_consumer_that_they_share()
    {
        var names = File.ReadAllText(Repository.Path("services", "Contracts", "StreamNames.cs"));
        Assert.Contains($"Messages = \"{Assert.Single(Found(@"stream: ([A-Z]+)"))}\"", names, StringComparison.Ordinal);
        Assert.Contains($"IngestionWorker = \"{Assert.Single(Found(@"consumer: ([\w-]+)"))}\"", names, StringComparison.Ordinal);
    }

    [Fact]
    public void No_outage_of_another_server_restarts_a_pod()
    {
        var asked = Found(@"(?:liveness|startup)Probe:\s+httpGet: \{ path: ([\w/]+)").ToArray();
        Assert.Equal(["/health/live", "/health/live"], asked);
    }

    private static IEnumerable<string> Found(string pattern) => Regex.Matches(Text, pattern).Select(match => match.Groups[1].Value);

    private static bool Has(JsonElement element, ReadOnlySpan<string> path)
        => path.IsEmpty || (element.ValueKind == JsonValueKind.Object && element.TryGetProperty(path[0], out var inner) && Has(inner, path[1..]));
}
