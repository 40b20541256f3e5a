using System.Globalization;
using Npgsql;
using RuleEngineNats.Problems;

namespace RuleEngineNats.ConfigService.Replays;

/// <summary>Shows one replay, and ends one.</summary>
internal static class CancelReplay
{
    public static async Task<IResult> GetAsync(string id, NpgsqlDataSource rules, CancellationToken cancellationToken)
        => Parse(id) is { } replayId ? Results.Ok(await Replay.ReadAsync(rules, replayId, cancellationToken)) : NotFound(id);

    public static async Task<IResult> HandleAsync(string id, NpgsqlDataSource rules, CancellationToken cancellationToken)
        => Parse(id) is not { } replayId ? NotFound(id)
            : await RunAsync(rules, replayId, cancellationToken) ? Results.Ok(await Replay.ReadAsync(rules, replayId, cancellationToken))
            : HadEnded(replayId).ToResult();

    public static async Task<bool> RunAsync(NpgsqlDataSource rules, long replayId, CancellationToken cancellationToken)
    {
        await using var command = rules.CreateCommand("SELECT rule_webhook_replay_cancel($1)");
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = replayId });
        return (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    public static Problem HadEnded(long replayId)
        => Problem.Of(409, "conflict", $"Replay {replayId} has ended.", $"GET /api/v1/replays/{replayId} says how.");

    private static long? Parse(string text) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : null;

    private static IResult NotFound(string id)
        => Problem.NotFound("not_found", $"Replay not found: {id[..Math.Min(id.Length, 64)]}", "GET /api/v1/replays lists them.").ToResult();
}
