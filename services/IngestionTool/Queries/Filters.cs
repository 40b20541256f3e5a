using System.CommandLine;
using System.Globalization;

namespace RuleEngineNats.IngestionTool.Queries;

/// <summary>The options that say which rows are meant, as they are in the API's queries.</summary>
/// <param name="limit">How many there are by default.</param>
internal sealed class Filters(int limit = 100)
{
    private readonly Option<string?> _since = new("--since") { Description = "Accepted at or after this time: RFC 3339, or how long ago (a number and s, m, h or d)." };
    private readonly Option<string?> _until = new("--until") { Description = "Accepted before this time." };
    private readonly Option<string?> _entity = new("--entity", "-e") { Description = "Of this entity." };
    private readonly Option<string?> _status = new("--status") { Description = "accepted, processing, completed, failed or dlq." };
    private readonly Option<string?> _code = new("--code") { Description = "With this error code." };
    private readonly Option<int> _limit = new("--limit") { Description = "How many at most.", DefaultValueFactory = _ => limit };

    public int Limit(ParseResult result) => result.GetValue(_limit);

    public bool HasSince(ParseResult result) => result.GetValue(_since) is not null;

    public void AddStatusTo(Command command) => Add(command, _since, _until, _entity, _status, _limit);

    public void AddDeadLettersTo(Command command) => Add(command, _entity, _code, _since, _until, _limit);

    /// <summary>What was given, by its name in the API.</summary>
    public Dictionary<string, string> Read(ParseResult result, TimeProvider time, List<string> problems)
    {
        var filters = new Dictionary<string, string>();
        foreach (var option in (Option<string?>[])[_entity, _status, _code])
        {
            if (result.GetResult(option) is not null && result.GetValue(option) is { } value)
            {
                filters[option.Name.TrimStart('-')] = value;
            }
        }

        foreach (var option in (Option<string?>[])[_since, _until])
        {
            if (result.GetResult(option) is null || result.GetValue(option) is not { } text)
            {
                continue;
            }

            if (Time(text, time) is { } at)
            {
                filters[option.Name.TrimStart('-')] = at;
            }
            else
            {
                problems.Add($"{option.Name}: '{text}' is no time; write RFC 3339, e.g. 2026-11-30T08:00:00Z, or how long ago: {Durations.Form}");
            }
        }

        if (Limit(result) < 1)
        {
            problems.Add("--limit: at least 1");
        }

        return filters;
    }

    private static string? Time(string text, TimeProvider time)
        => Durations.Parse(text) is { } ago ? (time.GetUtcNow() - ago).ToString("O", CultureInfo.InvariantCulture)
            : DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at) ? at.ToString("O", CultureInfo.InvariantCulture)
            : null;

    private static void Add(Command command, params Option[] options)
    {
        foreach (var option in options)
        {
            command.Options.Add(option);
        }
    }
}
