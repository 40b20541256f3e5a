namespace RuleEngineNats.IngestionApi.Tests.Messages;

/// <summary>What headers and path say besides the document, where no entities are configured.</summary>
[Collection(nameof(SharedService))]
[Trait("Category", "Servers")]
public sealed class TermsTests(SharedService shared)
{
    private IngestionService Api => shared.Api;

    [Fact]
    public async Task A_repeat_with_the_same_key_and_document_has_the_same_id_and_is_stored_once()
    {
        var key = Guid.NewGuid().ToString();
        var first = (await Api.PostAsync("/ingest/message", """{"n":1}""", headers: ("Idempotency-Key", key))).Is(202);
        Assert.Null(first.Header("Idempotency-Replayed"));
        var second = (await Api.PostAsync("/ingest/message", """{"n":1}""", headers: ("Idempotency-Key", key))).Is(202);
        Assert.Equal("true", second.Header("Idempotency-Replayed"));
        Assert.Equal(first.Text("message_id"), second.Text("message_id"));
        Assert.Single(await Api.EnvelopesAsync(), envelope => envelope.MessageId.ToString() == first.Text("message_id"));
    }

    [Fact]
    public async Task A_key_with_another_document_is_a_conflict()
    {
        var key = Guid.NewGuid().ToString();
        (await Api.PostAsync("/ingest/message", """{"n":1}""", headers: ("Idempotency-Key", key))).Is(202);
        (await Api.PostAsync("/ingest/message", """{"n":2}""", headers: ("Idempotency-Key", key))).IsProblem(409, "idempotency_key_reused", "Idempotency-Key");
    }

    [Fact]
    public async Task Keys_of_two_clients_do_not_meet()
    {
        var key = Guid.NewGuid().ToString();
        var ids = new HashSet<string>();
        foreach (var client in (string[])["one", "other"])
        {
            ids.Add((await Api.PostAsync("/ingest/message", $$"""{"of":"{{client}}"}""", "application/json", ("Idempotency-Key", key), ("X-Api-Key", client))).Is(202).Text("message_id"));
        }

        Assert.Equal(2, ids.Count);
    }

    [Theory]
    [InlineData("Idempotency-Key", "invalid_idempotency_key")]
    [InlineData("X-Source", "invalid_source")]
    [InlineData("X-Api-Key", "invalid_api_key")]
    [InlineData("X-Entity-Type", "invalid_entity_type")]
    public async Task A_header_that_is_no_header_value_is_refused(string name, string code)
    {
        (await Api.PostAsync("/ingest/message", "{}", headers: (name, new string('k', 300)))).IsProblem(400, code, name);
        (await Api.PostAsync("/ingest/message", "{}", headers: (name, "a b"))).IsProblem(400, code, name);
        (await Api.PostAsync("/ingest/message", "{}", "application/json", (name, "a"), (name, "b"))).IsProblem(400, code, name);
    }

    [Fact]
    public async Task A_key_of_255_characters_is_taken()
        => (await Api.PostAsync("/ingest/message", "{}", headers: ("Idempotency-Key", Guid.NewGuid() + new string('~', 255 - 36)))).Is(202);

    [Fact]
    public async Task All_problems_of_a_request_are_told_at_once()
    {
        var answer = (await Api.PostAsync("/ingest/message/a%20b", "{}", "application/json", ("Idempotency-Key", "a b"), ("X-Source", ""), ("Content-Encoding", "br"))).IsProblem(400, "validation_failed", "Idempotency-Key");
        Assert.Equal(["Content-Encoding", "Idempotency-Key", "X-Source", "path"], answer.Json["errors"]!.AsArray().Select(error => error!["field"]!.GetValue<string>()).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Source_and_entity_are_in_the_envelope_and_the_subject_has_no_unknown_name()
    {
        var id = (await Api.PostAsync("/ingest/message/Order", "{}", headers: ("X-Source", "till-4"))).Is(202).Text("message_id");
        Assert.Single(await Api.EnvelopesAsync(), envelope => envelope.MessageId.ToString() == id && envelope is { EntityType: "Order", Source: "till-4" });
        Assert.All(await Api.StoredAsync(), message => Assert.Equal("messages.ingest.default", message.Subject));
    }

    [Fact]
    public async Task A_documents_own_field_names_its_entity()
    {
        var id = (await Api.PostAsync("/ingest/message", """{"line":{"entity_type":"No"},"entity_type":"Order"}""")).Is(202).Text("message_id");
        Assert.Single(await Api.EnvelopesAsync(), envelope => envelope.MessageId.ToString() == id && envelope.EntityType == "Order");
        id = (await Api.PostAsync("/ingest/message", """{"entity_type":7}""")).Is(202).Text("message_id");
        Assert.Single(await Api.EnvelopesAsync(), envelope => envelope.MessageId.ToString() == id && envelope.EntityType is null);
    }

    [Theory]
    [InlineData("a.b")]
    [InlineData("%3E")]
    [InlineData("*")]
    [InlineData("a%20b")]
    [InlineData("%C3%BC")]
    [InlineData("$JS")]
    [InlineData("0123456789012345678901234567890123456789012345678901234567890123456789")]
    public async Task A_name_that_could_be_more_than_a_token_is_refused(string name)
    {
        (await Api.PostAsync($"/ingest/message/{name}", "{}")).IsProblem(422, "unknown_entity", "path");
        (await Api.PostAsync("/ingest/message", $$"""{"entity_type":"{{Uri.UnescapeDataString(name)}}"}""")).IsProblem(422, "unknown_entity", "entity_type");
    }

    [Fact]
    public async Task Two_names_that_contradict_are_refused()
    {
        (await Api.PostAsync("/ingest/message/Order", "{}", headers: ("X-Entity-Type", "Product"))).IsProblem(422, "entity_contradicts", "X-Entity-Type");
        (await Api.PostAsync("/ingest/message/Order", """{"entity_type":"Product"}""")).IsProblem(422, "entity_contradicts", "entity_type");
        (await Api.PostAsync("/ingest/message/Order", """{"entity_type":"Order"}""", headers: ("X-Entity-Type", "Order"))).Is(202);
    }
}
