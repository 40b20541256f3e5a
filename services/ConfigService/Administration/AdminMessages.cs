using Google.Protobuf.WellKnownTypes;
using RuleEngineNats.ConfigService.DeadLetters;
using RuleEngineNats.Contracts.Administration;
using RuleEngineNats.Problems;
using DeadLetter = RuleEngineNats.Contracts.Administration.DeadLetter;
using DeadLetterAttempt = RuleEngineNats.Contracts.Administration.DeadLetterAttempt;
using Replay = RuleEngineNats.Contracts.Administration.Replay;

namespace RuleEngineNats.ConfigService.Administration;

/// <summary>Between the messages of the proto, where nothing is null, and what the slices take and give.</summary>
internal static class AdminMessages
{
    public static DeadLetters.DeadLetterFilter Filter(Contracts.Administration.DeadLetterFilter? given, int limit, FieldProblems problems)
    {
        var filter = new DeadLetters.DeadLetterFilter
        {
            From = given?.From?.ToDateTimeOffset(),
            To = given?.To?.ToDateTimeOffset(),
            ResponseStatus = given is { ResponseStatus: not 0 } ? given.ResponseStatus : null,
            Error = given is { Error.Length: > 0 } ? given.Error : null,
            Subject = given is { Subject.Length: > 0 } ? given.Subject : null,
            Limit = limit is 0 ? null : limit,
        };
        filter.Check(problems);
        return filter;
    }

    public static Replays.StartReplay.Request Of(StartReplayRequest request) => new()
    {
        From = request.From?.ToDateTimeOffset(),
        To = request.To?.ToDateTimeOffset(),
        FromSequence = request.FromSequence is 0 ? null : request.FromSequence,
        ToSequence = request.ToSequence is 0 ? null : request.ToSequence,
        Status = request.Status.Count == 0 ? null : [.. request.Status],
        DryRun = request.DryRun,
        Rate = request.Rate is 0 ? null : request.Rate,
        Stream = request.Stream.Length == 0 ? null : request.Stream,
    };

    public static DeadLetter Of(DeadLetters.DeadLetter letter) => new()
    {
        CallId = letter.CallId,
        WebhookId = letter.WebhookId,
        WebhookName = letter.WebhookName,
        EventId = letter.EventId,
        Subject = letter.Subject ?? "",
        AttemptsMade = letter.AttemptsMade,
        ResponseStatus = letter.ResponseStatus ?? 0,
        ErrorMessage = letter.ErrorMessage ?? "",
        CreatedAt = Of(letter.CreatedAt),
        CompletedAt = Of(letter.CompletedAt),
    };

    public static GetDeadLetterResponse Of(DeadLetterDetail detail) => new()
    {
        DeadLetter = Of((DeadLetters.DeadLetter)detail),
        Payload = detail.Payload.GetRawText(),
        ResponseBody = detail.ResponseBody ?? "",
        Attempts =
        {
            detail.Attempts.Select(attempt => new DeadLetterAttempt
            {
                AttemptNumber = attempt.AttemptNumber,
                Outcome = attempt.Outcome ?? "",
                StartedAt = Of(attempt.StartedAt),
                CompletedAt = Of(attempt.CompletedAt),
                ResponseStatus = attempt.ResponseStatus ?? 0,
                ResponseBody = attempt.ResponseBody ?? "",
                ErrorMessage = attempt.ErrorMessage ?? "",
                ExecutionTimeMs = attempt.ExecutionTimeMs ?? 0,
            }),
        },
    };

    public static Replay Of(Replays.Replay replay) => new()
    {
        ReplayId = replay.ReplayId,
        WebhookId = replay.WebhookId,
        WebhookName = replay.WebhookName,
        Streams = { replay.Streams },
        From = Of(replay.FromTime),
        To = Of(replay.ToTime),
        FromSequence = replay.FromSequence ?? 0,
        ToSequence = replay.ToSequence ?? 0,
        Status = { replay.Status ?? [] },
        DryRun = replay.DryRun,
        Rate = replay.Rate ?? 0,
        State = replay.State,
        NextSequence = replay.NextSequence ?? 0,
        EndSequence = replay.EndSequence ?? 0,
        Scanned = replay.Scanned,
        Matched = replay.Matched,
        Enqueued = replay.Enqueued,
        Skipped = replay.Skipped,
        Waiting = replay.Waiting,
        ProgressPct = replay.ProgressPct,
        Error = replay.Error ?? "",
        RequestedBy = replay.RequestedBy,
        RequestedAt = Of(replay.RequestedAt),
        StartedAt = Of(replay.StartedAt),
        FinishedAt = Of(replay.FinishedAt),
    };

    private static Timestamp? Of(DateTimeOffset? time) => time is { } at ? Timestamp.FromDateTimeOffset(at) : null;
}
