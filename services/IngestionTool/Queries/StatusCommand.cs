using System.CommandLine;
using System.Text.Json;

namespace RuleEngineNats.IngestionTool.Queries;

/// <summary><c>rule-ingest status</c>: where documents are.</summary>
internal static class StatusCommand
{
    private static readonly string[] Members = ["message_id", "status", "entity_type", "received_at", "processed_at", "retry_count", "error_code", "error_message"];

    public static Command Create()
    {
        var ids = new Argument<string[]>("ID") { Description = "Message ids.", Arity = ArgumentArity.ZeroOrMore };
        var json = new Option<bool>("--json") { Description = "JSON for programs." };
        var (filters, access) = (new Filters(), new ApiFlags());
        var command = new Command("status", "Shows where documents are: accepted, processing, completed, failed or dlq. Exit code 1: an id is not known.") { ids, json };
        filters.AddStatusTo(command);
        access.AddTo(command);
        command.SetAction(async (result, cancellationToken) =>
        {
            var problems = new List<string>();
            var (wanted, where, api) = (result.GetValue(ids)!, filters.Read(result, TimeProvider.System, problems), access.Read(result, problems));
            if (wanted.Length > 0 == filters.HasSince(result))
            {
                problems.Add("status: give message ids, or --since");
            }

            if (problems.Count > 0)
            {
                return IngestCommand.Refuse(problems);
            }

            using var client = new ApiClient(api!, TimeProvider.System);
            return wanted.Length > 0
                ? await OfAsync(client, wanted, result.GetValue(json), cancellationToken)
                : await SinceAsync(client, where, filters.Limit(result), result.GetValue(json), cancellationToken);
        });
        return command;
    }

    private static async Task<int> OfAsync(ApiClient api, string[] ids, bool json, CancellationToken cancellationToken)
    {
        var rows = new List<JsonElement>();
        var code = ExitCode.Done;
        foreach (var id in ids)
        {
            var (row, problem) = await api.AskAsync(HttpMethod.Get, $"ingest/status/{Uri.EscapeDataString(id)}", null, cancellationToken);
            if (row is not null)
            {
                rows.Add(row.RootElement);
                continue;
            }

            await Console.Error.WriteLineAsync($"rule-ingest: {id}: {problem!.Text}");
            code = Math.Max(code, problem.MayPass ? ExitCode.Unreachable : problem.Status == 404 ? ExitCode.NotAll : ExitCode.Refused);
        }

        Print(rows, json);
        return code;
    }

    private static async Task<int> SinceAsync(ApiClient api, Dictionary<string, string> filters, int limit, bool json, CancellationToken cancellationToken)
    {
        var (rows, more) = await api.ListAsync("ingest/status", filters, limit, wanted: null, cancellationToken);
        Print(rows, json);
        if (more)
        {
            await Console.Error.WriteLineAsync($"rule-ingest: there are more than these {rows.Count}; --limit shows more");
        }

        return ExitCode.Done;
    }

    private static void Print(List<JsonElement> rows, bool json)
    {
        if (json)
        {
            ApiQueries.WriteJson(Console.Out, rows);
        }
        else if (rows.Count > 0)
        {
            Table.Print(Console.Out, rows, Members);
        }
    }
}
