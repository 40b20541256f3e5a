using System.Diagnostics;
using MassTransit;
using Npgsql;
using RuleEngineNats.Consumers;
using RuleEngineNats.Contracts;
using RuleEngineNats.IngestionWorker.DeadLetters;
using RuleEngineNats.IngestionWorker.Pumping;
using RuleEngineNats.IngestionWorker.Reading;
using RuleEngineNats.IngestionWorker.Tables;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.IngestionWorker.Storing;

/// <summary>The type MassTransit routes batches by. The documents ride beside it (<see cref="ArrivedBatch"/>).</summary>
public sealed record DocumentsArrived;

/// <summary>
/// Stores a batch of documents and decides for each message how it is settled.
/// <code>
/// 1 read           envelope, entity, rows; what cannot be read is a dead letter
/// 2 say            of what was delivered before: processing
/// 3 store          rows and statuses in one transaction
/// 4 dead letters   to their stream, then their statuses
/// 5 failed         what waits for its parent row comes again after a pause
/// </code>
/// </summary>
internal sealed partial class StoreBatch(
    ReadBatch read, StoreDocuments store, SendDeadLetters deadLetters, EntityTables tables, NpgsqlDataSource database, IngestionWorkerOptions options, Drain drain,
    TimeProvider time, ILogger<StoreBatch> logger) : IConsumer<DocumentsArrived>
{
    private const int MaxLinks = 32;

    private static readonly TimeSpan LongestRetryDelay = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan StatusTimeout = TimeSpan.FromSeconds(2);

    public async Task Consume(ConsumeContext<DocumentsArrived> context)
    {
        var batch = context.TryGetPayload<ArrivedBatch>(out var arrived) ? arrived : throw new InvalidOperationException("a batch without its documents");
        using var activity = Start(batch);
        var (documents, problems) = await StoreAsync(batch, drain.Abort);
        foreach (var document in documents.Documents)
        {
            document.Arrival.Settlement = Settlement.Ack;
        }

        var again = problems.Where(one => one.Problem.Kind != StoreProblemKind.Refused && one.Document.Arrival.Delivery < options.MaxAttempts).ToArray();
        foreach (var (document, _) in problems)
        {
            document.Arrival.Settlement = Settlement.Again(RetryDelay(document.Arrival.Delivery));
        }

        await deadLetters.RunAsync([.. documents.DeadLetters, .. problems.Except(again).Select(DeadLetterOf)], arrival => documents.OwnId("reused", arrival), drain.Abort);
        if (again.Length > 0)
        {
            await FailAsync(again);
        }

        foreach (var (repeat, first) in documents.Repeats)
        {
            repeat.Settlement = first.Settlement;
        }
    }

    private async Task<(ReadDocuments Read, IReadOnlyList<(Document Document, StoreProblem Problem)> Problems)> StoreAsync(ArrivedBatch batch, CancellationToken cancellationToken)
    {
        while (true)
        {
            var reader = tables.Reader ?? throw new InvalidOperationException("a batch before there are tables");
            var documents = await read.RunAsync(batch, reader, cancellationToken);
            var before = documents.Documents.Where(document => document.Arrival.Delivery > 1).ToArray();
            if (before.Length > 0)
            {
                await TryAsync(token => StatusTable.ProcessAsync(database, before, token));
            }

            if (await store.RunAsync(documents, cancellationToken) is { } problems)
            {
                return (documents, problems);
            }
        }
    }

    private async Task FailAsync((Document Document, StoreProblem Problem)[] failed)
    {
        await TryAsync(token => StatusTable.FailAsync(database, failed, token));
        foreach (var (document, problem) in failed)
        {
            IngestionMetrics.Failure(problem.Code, dead: false);
            LogAgain(document.Id, document.Entity.Name, document.Arrival.Delivery, problem.Message);
        }
    }

    private static DeadLetter DeadLetterOf((Document Document, StoreProblem Problem) one)
        => new(one.Document.Arrival, one.Document.Message, one.Document.Id, one.Problem.Code, one.Problem.Message)
        {
            Envelope = one.Document.Envelope,
            Sha256 = one.Document.Sha256,
            Entity = one.Document.Entity.Name,
        };

    // 5, 10, 20, 40, 80, 160, 300 s with the default.
    private TimeSpan RetryDelay(int delivery) => RetryPause.After(delivery, options.RetryDelay, LongestRetryDelay);

    // What a status says on the way is for the reader's information: it holds up nothing.
    private async Task TryAsync(Func<CancellationToken, Task> write)
    {
        using var limit = new CancellationTokenSource(StatusTimeout, time);
        try
        {
            await write(limit.Token);
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException or OperationCanceledException or IOException)
        {
            LogNotSaid(e.Message);
        }
    }

    private static Activity? Start(ArrivedBatch batch)
    {
        if (!Telemetry.Source.HasListeners())
        {
            return null;
        }

        List<ActivityLink> links = [];
        foreach (var arrival in batch.Arrivals.Take(MaxLinks))
        {
            if (arrival.Message.Headers is { } headers && headers.TryGetValue(EventHeaders.TraceParent, out var values)
                && ActivityContext.TryParse(values.ToString(), null, isRemote: true, out var publish))
            {
                links.Add(new(publish));
            }
        }

        return Telemetry.Source.StartActivity("ingest batch", ActivityKind.Consumer, default(ActivityContext), [new("messaging.batch.message_count", batch.Arrivals.Count)], links);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "document {Id} ({Entity}) is tried again after delivery {Delivery}: {Reason}")]
    private partial void LogAgain(Guid id, string entity, int delivery, string reason);

    [LoggerMessage(Level = LogLevel.Debug, Message = "statuses on the way could not be written: {Reason}")]
    private partial void LogNotSaid(string reason);
}
