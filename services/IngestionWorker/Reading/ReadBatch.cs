using System.Buffers;
using System.Security.Cryptography;
using NATS.Client.Core;
using RuleEngineNats.Contracts;
using RuleEngineNats.Entities;
using RuleEngineNats.IngestionWorker.DeadLetters;
using RuleEngineNats.IngestionWorker.Pumping;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.IngestionWorker.Reading;

/// <summary>Reads the messages of a batch into documents with rows, and dead letters.</summary>
internal sealed class ReadBatch(EventBodies bodies, IngestionWorkerOptions options)
{
    private const int LongestReason = 2000;

    public async Task<ReadDocuments> RunAsync(ArrivedBatch batch, EntityReader reader, CancellationToken cancellationToken)
    {
        var read = new ReadDocuments(reader.Catalog, batch);
        foreach (var arrival in batch.Arrivals)
        {
            var body = (ReadOnlyMemory<byte>)(arrival.Message.Data ?? []);
            if (EventBodies.ObjectOf(arrival.Message.Headers) is not null)
            {
                try
                {
                    using var held = await bodies.ReadAsync(arrival.Message, cancellationToken);
                    body = held.Bytes;
                }
                catch (PayloadMissingException e)
                {
                    read.DeadLetters.Add(new(arrival, body, read.OwnId("unreadable", arrival), DeadLetterCodes.BodyMissing, e.Message));
                    continue;
                }
                catch (Exception e) when (e is NatsException or TimeoutException)
                {
                    // It comes again; the others need not wait for it.
                    arrival.Settlement = Settlement.Again(options.RetryDelay);
                    continue;
                }
            }

            Read(read, arrival, body, reader);
        }

        return read;
    }

    private void Read(ReadDocuments read, Arrival arrival, ReadOnlyMemory<byte> body, EntityReader reader)
    {
        if (!IngestEnvelope.TryRead(body.Span, out var envelope, out var problem))
        {
            read.DeadLetters.Add(new(arrival, body, read.OwnId("unreadable", arrival), DeadLetterCodes.InvalidEnvelope, problem!));
            return;
        }

        var sha256 = SHA256.HashData(envelope!.Body.Span);
        if (!read.IsFirst(envelope.MessageId, arrival, sha256, out var same))
        {
            if (same is not null)
            {
                read.Repeats.Add((arrival, same));
                return;
            }

            read.DeadLetters.Add(Refuse(read.OwnId("reused", arrival), DeadLetterCodes.KeyReused, "another document came under the same id before", envelope.EntityType));
        }
        else if (arrival.Delivery > options.MaxDeliveries)
        {
            read.DeadLetters.Add(Refuse(envelope.MessageId, DeadLetterCodes.Attempts, $"{options.MaxDeliveries} deliveries ended without an answer", envelope.EntityType));
        }
        else if (reader.Read(envelope.Body, envelope.EntityType) is var reading && reading.IsValid)
        {
            read.Documents.Add(new(arrival, body, envelope, sha256, reading.Entity!, read.Encode(reading.Rows, arrival.StoredAt), EventsOf(envelope, reading)));
        }
        else
        {
            read.DeadLetters.Add(Refuse(envelope.MessageId, CodeOf(reading.Violations), ReasonOf(reading.Violations), reading.Entity?.Name ?? envelope.EntityType));
        }

        DeadLetter Refuse(Guid id, string code, string reason, string? entity)
            => new(arrival, body, id, code, reason) { Envelope = envelope, Sha256 = sha256, Entity = entity };
    }

    private static List<RowEvent> EventsOf(IngestEnvelope envelope, EntityReading reading)
    {
        List<RowEvent>? events = null;
        foreach (var rows in reading.Rows)
        {
            if (rows.Table.Publish is not null)
            {
                RowEvent.Add(events ??= [], envelope.MessageId, envelope.Body, reading.Entity!, rows);
            }
        }

        return events ?? [];
    }

    private static string CodeOf(IReadOnlyList<Violation> violations) => violations[0].Code switch
    {
        ViolationCodes.InvalidJson => DeadLetterCodes.InvalidJson,
        ViolationCodes.NoEntity or ViolationCodes.UnknownEntity => DeadLetterCodes.NoEntity,
        _ => DeadLetterCodes.InvalidDocument,
    };

    private static string ReasonOf(IReadOnlyList<Violation> violations)
    {
        var reason = string.Join("; ", violations.Select(violation => $"{violation.Field}: {violation.Message}: {violation.Fix}"));
        return reason.Length <= LongestReason ? reason : reason[..LongestReason] + "…";
    }
}

/// <summary>What the messages of a batch were read into.</summary>
internal sealed class ReadDocuments(EntityCatalog catalog, ArrivedBatch batch)
{
    private readonly Dictionary<Guid, (Arrival Arrival, byte[] Sha256)> _ids = new(batch.Arrivals.Count);
    private readonly ArrayBufferWriter<byte>?[] _rows = new ArrayBufferWriter<byte>?[catalog.Tables.Count];
    private readonly Dictionary<EntityTable, int> _tables = Index(catalog);

    public EntityCatalog Catalog => catalog;

    /// <summary>In the order of the stream.</summary>
    public List<Document> Documents { get; } = new(batch.Arrivals.Count);

    public List<DeadLetter> DeadLetters { get; } = [];

    /// <summary>The same document under the same id as an earlier one of this batch: what becomes of that one becomes of it.</summary>
    public List<(Arrival Arrival, Arrival First)> Repeats { get; } = [];

    /// <summary>An id for a message that cannot have the one it came with: the same whenever it comes again.</summary>
    public Guid OwnId(string scope, Arrival arrival) => IngestMessageId.ForKey(scope, $"{batch.StreamId} {arrival.Sequence}");

    /// <summary>The encoded rows of a table.</summary>
    public ReadOnlyMemory<byte> RowsOf(int table) => _rows[table]?.WrittenMemory ?? default;

    public bool IsFirst(Guid id, Arrival arrival, byte[] sha256, out Arrival? same)
    {
        same = null;
        if (_ids.TryAdd(id, (arrival, sha256)))
        {
            return true;
        }

        var first = _ids[id];
        same = first.Sha256.AsSpan().SequenceEqual(sha256) ? first.Arrival : null;
        return false;
    }

    public RowSlice[] Encode(IReadOnlyList<EntityRows> tables, DateTimeOffset ingestedAt)
    {
        var slices = new RowSlice[tables.Count];
        for (var index = 0; index < slices.Length; index++)
        {
            var rows = tables[index];
            var table = _tables[rows.Table];
            var output = _rows[table] ??= new(64 * 1024);
            var start = output.WrittenCount;
            for (var row = 0; row < rows.Count; row++)
            {
                CopyFormat.AddRow(output, rows[row], ingestedAt);
            }

            slices[index] = new(table, start, output.WrittenCount - start, rows.Count);
        }

        return slices;
    }

    private static Dictionary<EntityTable, int> Index(EntityCatalog catalog)
    {
        var tables = new Dictionary<EntityTable, int>(catalog.Tables.Count, ReferenceEqualityComparer.Instance);
        for (var index = 0; index < catalog.Tables.Count; index++)
        {
            tables[catalog.Tables[index]] = index;
        }

        return tables;
    }
}
