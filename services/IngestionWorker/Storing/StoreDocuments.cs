using Npgsql;
using RuleEngineNats.IngestionWorker.DeadLetters;
using RuleEngineNats.IngestionWorker.Reading;
using RuleEngineNats.IngestionWorker.Tables;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.IngestionWorker.Storing;

/// <summary>
/// Stores the documents of a batch: all in one transaction, or, where some cannot be stored, all but those. A batch that is refused is halved until the document is found
/// that it is refused for. While PostgreSQL cannot be reached, or a table is missing, it waits: that says nothing about a document.
/// </summary>
internal sealed partial class StoreDocuments(
    NpgsqlDataSource database, Writers writers, EntityTables tables, Obstacles obstacles, TimeProvider time, ILogger<StoreDocuments> logger)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);

    /// <returns>Those that are not stored, and why; null when the definitions have changed while it waited, so that the batch has to be read once more.</returns>
    public async Task<IReadOnlyList<(Document Document, StoreProblem Problem)>?> RunAsync(ReadDocuments read, CancellationToken cancellationToken)
    {
        if (read.Documents.Count == 0)
        {
            return [];
        }

        var writer = writers.Rent();
        try
        {
            var run = new Run(writer, read, []);
            if (!await StoreAsync(run, read.Documents, cancellationToken))
            {
                return null;
            }

            // The parent may have been in the half that came later.
            var orphans = run.Problems.Where(one => one.Problem.Kind == StoreProblemKind.MissingParent).Select(one => one.Document).ToList();
            if (orphans.Count is 0 || orphans.Count == read.Documents.Count)
            {
                return run.Problems;
            }

            run.Problems.RemoveAll(one => one.Problem.Kind == StoreProblemKind.MissingParent);
            return await StoreAsync(run, orphans, cancellationToken) ? run.Problems : null;
        }
        finally
        {
            obstacles.Clear(writer);
            writers.Return(writer);
        }
    }

    private async Task<bool> StoreAsync(Run run, List<Document> documents, CancellationToken cancellationToken)
    {
        for (var failures = 0; ;)
        {
            var problem = await TryAsync(run, documents, cancellationToken);
            if (problem is null)
            {
                obstacles.Clear(run.Writer);
                return true;
            }

            if (problem.IsOfDocument)
            {
                obstacles.Clear(run.Writer);
                if (documents.Count == 1)
                {
                    run.Problems.Add((documents[0], problem));
                    return true;
                }

                var half = documents.Count / 2;
                return await StoreAsync(run, documents[..half], cancellationToken) && await StoreAsync(run, documents[half..], cancellationToken);
            }

            obstacles.Set(run.Writer, problem.Message);
            if (failures++ == 0)
            {
                LogWaiting(documents.Count, problem.Message);
            }

            await Task.Delay(RetryPause.After(failures, FirstPause, LongestPause, Random.Shared.NextDouble() / 2), time, cancellationToken);
            if (problem.Kind == StoreProblemKind.Configuration)
            {
                await tables.RepairAsync(cancellationToken);
                if (tables.Reader?.Catalog != run.Read.Catalog)
                {
                    return false;
                }
            }
        }
    }

    private async Task<StoreProblem?> TryAsync(Run run, List<Document> documents, CancellationToken cancellationToken)
    {
        try
        {
            var began = time.GetTimestamp();
            var stored = await WriteBatch.RunAsync(run.Writer, run.Read, documents, cancellationToken);
            IngestionMetrics.Stored(stored.Count, time.GetElapsedTime(began));
            if (stored.Count < documents.Count)
            {
                await FindReusedAsync(run, [.. documents.Where(document => !stored.Contains(document.Id))], cancellationToken);
            }

            return null;
        }
        catch (Exception e) when (e is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
        {
            var problem = StoreProblem.Of(e, run.Writer.Connection);
            if (!problem.IsOfDocument || problem.Kind == StoreProblemKind.Unexpected)
            {
                await run.Writer.CloseAsync();
            }

            if (problem.Kind == StoreProblemKind.Unexpected)
            {
                LogUnexpected(e, documents.Count);
            }

            return problem;
        }
    }

    // Their ids were final already. What is the same document is done; what is another has an id that somebody used twice.
    private async Task FindReusedAsync(Run run, List<Document> documents, CancellationToken cancellationToken)
    {
        var known = await StatusTable.FindAsync(database, documents.Select(document => document.Id), cancellationToken);
        foreach (var document in documents)
        {
            if (known.TryGetValue(document.Id, out var status) && status.Sha256?.AsSpan().SequenceEqual(document.Sha256) == false)
            {
                run.Problems.Add((document, new(StoreProblemKind.Refused, DeadLetterCodes.KeyReused, "another document came under the same id before")));
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Documents} documents wait to be stored: {Reason}")]
    private partial void LogWaiting(int documents, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "storing {Documents} documents failed")]
    private partial void LogUnexpected(Exception exception, int documents);

    private sealed record Run(Writer Writer, ReadDocuments Read, List<(Document Document, StoreProblem Problem)> Problems);
}
