using System.Text.Json.Nodes;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.IngestionApi.Tests.Messages;

/// <summary>With the entities of the TPC-H example, whose orders are validated here.</summary>
[Trait("Category", "Servers")]
public sealed class EntityTests : IAsyncLifetime
{
    private const string Order = """{"order_key":"1","customer_key":"7","order_status":"O","total_price":"12.50","order_date":"2026-01-02","line_items":[]}""";

    private readonly TemporaryFolder _folder = TemporaryFolder.Create("entities-");

    private IngestionService Api { get; set; } = null!;

    private string Folder => _folder.Path;

    public async Task InitializeAsync()
    {
        // Without the example's entity that is not of TPC-H: it leaves validation to the worker, who then has a say in what fits none.
        foreach (var file in Directory.GetFiles(Repository.Path("examples", "entities", "tpch")).Where(file => !file.EndsWith("web_order.yaml", StringComparison.Ordinal)))
        {
            File.Copy(file, Path.Combine(Folder, Path.GetFileName(file)));
        }

        Api = await IngestionService.StartAsync(new() { ["Ingestion__Entities__Folder"] = Folder });
    }

    public async Task DisposeAsync()
    {
        await Api.DisposeAsync();
        await _folder.DisposeAsync();
    }

    [Fact]
    public async Task The_entity_is_in_subject_and_envelope_by_its_own_name()
    {
        foreach (var path in (string[])["/ingest/message/Order", "/ingest/message/O"])
        {
            var id = (await Api.PostAsync(path, Order)).Is(202).Text("message_id");
            Assert.Equal("messages.ingest.Order", (await Api.StoredAsync()).Single(message => message.MessageId == id).Subject);
            Assert.Equal("Order", (await Api.EnvelopesAsync()).Single(envelope => envelope.MessageId.ToString() == id).EntityType);
        }

        var unnamed = (await Api.PostAsync("/ingest/message", Order)).Is(202).Text("message_id");
        Assert.Equal("messages.ingest.default", (await Api.StoredAsync()).Single(message => message.MessageId == unnamed).Subject);
        (await Api.PostAsync("/ingest/message/Order", Order, headers: ("X-Entity-Type", "O"))).Is(202);
        Assert.Equal(["Order"], (await Api.GetAsync("/health")).Json["entities"]!.AsArray().Select(name => name!.GetValue<string>()));
    }

    [Theory]
    [InlineData("Customer")]
    [InlineData("OrderLineItem")]
    [InlineData("Nothing")]
    [InlineData("order")]
    public async Task What_is_no_entity_that_documents_are_sent_as_is_refused_with_those_that_are(string name)
    {
        var answer = (await Api.PostAsync($"/ingest/message/{name}", Order)).IsProblem(422, "unknown_entity", "path");
        Assert.Contains("Order", answer.Text("fix"), StringComparison.Ordinal);
        (await Api.PostAsync("/ingest/message", Order, headers: ("X-Entity-Type", name))).IsProblem(422, "unknown_entity", "X-Entity-Type");
        (await Api.PostAsync("/ingest/message", $$"""{"entity_type":"{{name}}"}""")).IsProblem(422, "unknown_entity", "entity_type");
        (await Api.PostAsync($"/ingest/batch/{name}", Order, "application/x-ndjson")).IsProblem(422, "unknown_entity", "path");
    }

    [Fact]
    public async Task All_violations_of_a_document_are_told_at_once_by_their_fields()
    {
        var wrong = JsonNode.Parse(Order)!;
        wrong["customer_key"] = 7;
        wrong["order_date"] = "2026-02-30";
        wrong.AsObject().Remove("order_status");
        wrong["line_items"] = JsonNode.Parse("""[{"line_number":1,"part_key":"p","quantity":"many","extended_price":"1"}]""");
        var answer = (await Api.PostAsync("/ingest/message/Order", wrong.ToJsonString())).IsProblem(422, "invalid_document", "customer_key");
        Assert.Equal(
            ["customer_key", "line_items[0].quantity", "order_date", "order_status"],
            answer.Json["errors"]!.AsArray().Select(error => error!["field"]!.GetValue<string>()).Order(StringComparer.Ordinal));

        var batch = (await Api.PostAsync("/ingest/batch/Order", $"{Order}\n{wrong.ToJsonString()}\n", "application/x-ndjson")).Is(202);
        Assert.Equal([null, "invalid_document"], batch.Results.Select(result => result["code"]?.GetValue<string>()));
        Assert.Contains("4 violations", batch.Results[1]["detail"]!.GetValue<string>(), StringComparison.Ordinal);
        (await Api.PostAsync("/ingest/message", """{"nothing":"known"}""")).IsProblem(422, "invalid_document", "$");
    }

    [Fact]
    public async Task Definitions_are_checked_without_starting()
    {
        await using var fine = ChildProcess.Start("dotnet", [Repository.Service("IngestionApi"), "--check", $"--Ingestion:Entities:Folder={Folder}"]);
        await fine.ExitedAsync();
        Assert.Equal(0, fine.ExitCode);
        Assert.Contains("CREATE TABLE", fine.Output, StringComparison.Ordinal);

        var folder = Directory.CreateTempSubdirectory("entities-");
        await File.WriteAllTextAsync(Path.Combine(folder.FullName, "bad.yaml"), "entity:\n  name: X\n  nonsense: true\n");
        await using var wrong = ChildProcess.Start("dotnet", [Repository.Service("IngestionApi"), "--check", $"--Ingestion:Entities:Folder={folder.FullName}"]);
        await wrong.ExitedAsync();
        Assert.Equal(1, wrong.ExitCode);
        Assert.Contains("bad.yaml:3", wrong.Output, StringComparison.Ordinal);
        folder.Delete(recursive: true);
    }
}
