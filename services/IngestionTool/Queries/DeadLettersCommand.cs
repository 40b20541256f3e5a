using System.CommandLine;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace RuleEngineNats.IngestionTool.Queries;

/// <summary><c>rule-ingest dead-letters</c>: documents that could not be stored, and sending them again.</summary>
internal static class DeadLettersCommand
{
    private const string Route = "ingest/dead-letters";
    private const int MostAtOnce = 10_000;

    private static readonly string[] Members = ["message_id", "entity_type", "received_at", "retry_count", "error_code", "resubmitted_as", "error_message"];

    public static Command Create() => new("dead-letters", "Shows documents that could not be stored, and sends them again.")
    {
        List(),
        Show(),
        Resubmit(),
        Redrive(),
    };

    private static Command List()
    {
        var filters = new Filters();
        var command = new Command("list", "Shows dead letters, the oldest first.");
        filters.AddDeadLettersTo(command);
        return WithApi(command, async (result, api, json, problems, cancellationToken) =>
        {
            var where = filters.Read(result, TimeProvider.System, problems);
            if (problems.Count > 0)
            {
                return IngestCommand.Refuse(problems);
            }

            await ListAsync(api, where, filters.Limit(result), json, wanted: null, cancellationToken);
            return ExitCode.Done;
        });
    }

    private static Command Show()
    {
        var id = new Argument<string>("ID") { Description = "The message id." };
        var command = new Command("show", "Shows one with its reason and the document as it was sent.") { id };
        return WithApi(command, async (result, api, json, _, cancellationToken) =>
        {
            var letter = await api.GetAsync($"{Route}/{Uri.EscapeDataString(result.GetValue(id)!)}", cancellationToken);
            if (json)
            {
                Console.WriteLine(JsonSerializer.Serialize(letter));
            }
            else
            {
                Table.PrintMembers(Console.Out, letter);
            }

            return ExitCode.Done;
        });
    }

    private static Command Resubmit()
    {
        var id = new Argument<string>("ID") { Description = "The message id." };
        var file = new Option<string?>("--file") { Description = "A file with the corrected document; - is standard input. Default: the document as it was sent." };
        var entity = new Option<string?>("--entity", "-e") { Description = "The entity that it is. Default: the one it was sent as." };
        var command = new Command("resubmit", "Sends one again, as it was or corrected. It has a new id from then on, and is sent once however often this is repeated.") { id, file, entity };
        return WithApi(command, async (result, api, json, _, cancellationToken) =>
        {
            var query = result.GetValue(entity) is { } name ? $"?entity={Uri.EscapeDataString(name)}" : "";
            using var content = result.GetValue(file) is { } path ? await DocumentAsync(path, cancellationToken) : null;
            var answer = await api.SendAsync(HttpMethod.Post, $"{Route}/{Uri.EscapeDataString(result.GetValue(id)!)}/resubmit{query}", content, cancellationToken);
            Console.WriteLine(json ? JsonSerializer.Serialize(answer) : $"accepted as {answer.GetProperty("message_id").GetString()}");
            return ExitCode.Done;
        });
    }

    private static Command Redrive()
    {
        var filters = new Filters(limit: 1000);
        var dryRun = new Option<bool>("--dry-run") { Description = "Show what would be sent, and send nothing." };
        var command = new Command("redrive", "Sends all that match again, as they were, up to --limit; those that were sent again before are left alone. Exit code 1: some could not be sent.") { dryRun };
        filters.AddDeadLettersTo(command);
        return WithApi(command, async (result, api, json, problems, cancellationToken) =>
        {
            var where = filters.Read(result, TimeProvider.System, problems);
            if (problems.Count > 0)
            {
                return IngestCommand.Refuse(problems);
            }

            if (!result.GetValue(dryRun))
            {
                return await RedriveAsync(api, where, filters.Limit(result), json, cancellationToken);
            }

            var count = await ListAsync(api, where, filters.Limit(result), json, IsOpen, cancellationToken);
            await Console.Error.WriteLineAsync($"rule-ingest: these {count} would be sent again");
            return ExitCode.Done;
        });
    }

    private static async Task<int> RedriveAsync(ApiClient api, Dictionary<string, string> where, int limit, bool json, CancellationToken cancellationToken)
    {
        var (sent, failed, expired, remaining) = (0L, 0L, 0L, 0L);
        string? cursor = null;
        do
        {
            // One request takes no longer than some seconds, and then says where to go on.
            var request = new JsonObject(where.Select(filter => KeyValuePair.Create(filter.Key, (JsonNode?)filter.Value)))
            {
                ["limit"] = Math.Min(MostAtOnce, limit - (sent + failed + expired)),
                ["cursor"] = cursor,
            };
            using var content = new StringContent(request.ToJsonString(), new MediaTypeHeaderValue("application/json"));
            var answer = await api.SendAsync(HttpMethod.Post, $"{Route}/redrive", content, cancellationToken);
            sent += answer.GetProperty("resubmitted").GetInt64();
            failed += answer.GetProperty("failed").GetInt64();
            expired += answer.GetProperty("expired").GetInt64();
            remaining = answer.GetProperty("remaining").GetInt64();
            cursor = answer.GetProperty("next_cursor").GetString();
        }
        while (cursor is not null && sent + failed + expired < limit);
        Console.WriteLine(json
            ? $$"""{"resubmitted":{{sent}},"failed":{{failed}},"expired":{{expired}},"remaining":{{remaining}}}"""
            : $"sent again  {sent}\nrefused     {failed}\nexpired     {expired}\nremaining   {remaining}");
        return failed + expired > 0 ? ExitCode.NotAll : ExitCode.Done;
    }

    private static bool IsOpen(JsonElement row) => row.GetProperty("resubmitted_as").ValueKind == JsonValueKind.Null;

    private static async Task<int> ListAsync(
        ApiClient api, Dictionary<string, string> where, int limit, bool json, Func<JsonElement, bool>? wanted, CancellationToken cancellationToken)
    {
        var (rows, more) = await api.ListAsync(Route, where, limit, wanted, cancellationToken);
        if (json)
        {
            ApiQueries.WriteJson(Console.Out, rows);
        }
        else
        {
            Table.Print(Console.Out, rows, Members);
        }

        if (more)
        {
            await Console.Error.WriteLineAsync($"rule-ingest: there are more than these {rows.Count}; --limit shows more");
        }

        return rows.Count;
    }

    private static async Task<HttpContent> DocumentAsync(string path, CancellationToken cancellationToken)
    {
        await using var input = new Input.InputFile(path);
        input.Open();
        var bytes = new MemoryStream();
        await input.Stream.CopyToAsync(bytes, cancellationToken);
        var content = new ByteArrayContent(bytes.ToArray());
        content.Headers.ContentType = new("application/json");
        return content;
    }

    private static Command WithApi(Command command, Func<ParseResult, ApiClient, bool, List<string>, CancellationToken, Task<int>> run)
    {
        var json = new Option<bool>("--json") { Description = "JSON for programs." };
        var access = new ApiFlags();
        command.Options.Add(json);
        access.AddTo(command);
        command.SetAction(async (result, cancellationToken) =>
        {
            var problems = new List<string>();
            if (access.Read(result, problems) is not { } url || problems.Count > 0)
            {
                return IngestCommand.Refuse(problems);
            }

            using var api = new ApiClient(url, TimeProvider.System);
            return await run(result, api, result.GetValue(json), problems, cancellationToken);
        });
        return command;
    }
}
