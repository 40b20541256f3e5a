using System.Text.Json;

namespace RuleEngineNats.IngestionTool.Loading;

/// <summary>Asks for the batches until none has lines that are on their way.</summary>
internal sealed class BatchWait(ApiClient api, LoadOptions options, TimeProvider time)
{
    private const int MostIds = 20;
    private const int NotFound = 404;

    private static readonly TimeSpan Every = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Say = TimeSpan.FromSeconds(5);

    private readonly Lock _lock = new();
    private readonly Patience _patience = new(options.Patience, time);
    private readonly Outcomes _outcomes = new();
    private long _said = time.GetTimestamp();

    public async Task<Outcomes> RunAsync(LoadJournal journal, CancellationToken cancellationToken)
    {
        var asking = new ParallelOptions { MaxDegreeOfParallelism = options.Parallel, CancellationToken = cancellationToken };
        await Parallel.ForEachAsync(journal.BatchIds(), asking, async (batch, token) =>
        {
            var (completed, deadLetters) = await SettledAsync(batch, token);
            var ids = deadLetters > 0 && Room() > 0 ? await DeadLettersAsync(batch, token) : [];
            lock (_lock)
            {
                _outcomes.Completed += completed;
                _outcomes.DeadLetters += deadLetters;
                _outcomes.DeadLetterIds.AddRange(ids.Take(MostIds - _outcomes.DeadLetterIds.Count));
            }
        });
        return _outcomes;
    }

    private async Task<(long Completed, long DeadLetters)> SettledAsync(string batch, CancellationToken cancellationToken)
    {
        while (true)
        {
            using var status = await AskAsync($"ingest/batch/{batch}", cancellationToken);
            if (status is null)
            {
                return (0, 0);
            }

            var root = status.RootElement;
            // Nothing more will change; of what is neither completed nor a dead letter the stream's age was over.
            if (Count(root, "pending") == 0)
            {
                return (Count(root, "completed"), Count(root, "dlq"));
            }

            SayProgress(batch, root);
            await Task.Delay(Every, time, cancellationToken);
        }
    }

    private async Task<List<string>> DeadLettersAsync(string batch, CancellationToken cancellationToken)
    {
        using var lines = await AskAsync($"ingest/batch/{batch}?lines=true&status=dlq&limit={MostIds}", cancellationToken);
        return [.. lines!.RootElement.GetProperty("items").EnumerateArray().Select(line => line.GetProperty("message_id").GetString()!)];
    }

    private int Room()
    {
        lock (_lock)
        {
            return MostIds - _outcomes.DeadLetterIds.Count;
        }
    }

    // Null: nothing is recorded of this batch, and nothing of it is in the stream any more.
    private async Task<JsonDocument?> AskAsync(string path, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            var (json, problem) = await api.AskAsync(HttpMethod.Get, path, null, cancellationToken);
            if (json is not null)
            {
                _patience.Succeeded();
                return json;
            }

            if (problem!.Status == NotFound)
            {
                return null;
            }

            if (!problem.MayPass)
            {
                throw new ApiRefusedException(problem.Text);
            }

            if (_patience.IsOver)
            {
                throw new ApiUnreachableException($"{api.Url} has answered nothing for {_patience.Limit.TotalSeconds:0} s; the last was: {problem.Text}");
            }

            await Task.Delay(RetryPause.After(attempt, problem.RetryAfter, Random.Shared.NextDouble()), time, cancellationToken);
        }
    }

    private void SayProgress(string batch, JsonElement status)
    {
        lock (_lock)
        {
            if (time.GetElapsedTime(_said) > Say)
            {
                _said = time.GetTimestamp();
                Console.Error.WriteLine($"waiting: {_outcomes.Completed:#,0} completed, {_outcomes.DeadLetters:#,0} dead letters; batch {batch} has {Count(status, "pending")} lines on their way");
            }
        }
    }

    private static long Count(JsonElement status, string name) => status.GetProperty(name).GetInt64();
}
