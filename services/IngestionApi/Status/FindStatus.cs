using Microsoft.Extensions.Options;
using Npgsql;
using RuleEngineNats.Contracts;
using RuleEngineNats.IngestionApi.Problems;
using RuleEngineNats.IngestionApi.Streams;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.IngestionApi.Status;

/// <summary>Finds where documents are: in <c>message_status</c> once a worker has recorded anything, and before that by what the id proves.</summary>
internal sealed class FindStatus(NpgsqlDataSource rules, LookAtStream look, IOptions<IngestStreamOptions> streams, TimeProvider time)
{
    // A server counts what it has just stored a moment later.
    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(50);

    // Of machines whose clocks differ.
    private static readonly TimeSpan Tolerance = TimeSpan.FromMinutes(5);

    /// <summary>The id in a path.</summary>
    public static Refusal? ParseId(string text, string field, out Guid id) => Guid.TryParseExact(text, "D", out id)
        ? null
        : new(400, "invalid_uuid", field, "Invalid UUID format", "Give the id as it was returned: 8-4-4-4-12 hexadecimal digits.");

    /// <summary>The status of a document; null where nobody was ever given this id, or the document has expired.</summary>
    public async Task<DocumentStatus?> OneAsync(Guid id, CancellationToken cancellationToken)
    {
        if (await ReadAsync(id, cancellationToken) is { } recorded)
        {
            return recorded;
        }

        return await MayBeOnItsWayAsync(id, cancellationToken)
            ? DocumentStatus.Unrecorded(id)
            // A worker may have recorded it since the first look.
            : await ReadAsync(id, cancellationToken);
    }

    /// <summary>Whether an id without a row may be that of a document in the stream. When it says no, every document that was accepted before has its row.</summary>
    public async Task<bool> MayBeOnItsWayAsync(Guid id, CancellationToken cancellationToken)
    {
        if (!IngestMessageId.IsIssued(id) || IngestMessageId.TimeOf(id) is { } issued && issued < time.GetUtcNow() - streams.Value.MaxAge - Tolerance)
        {
            return false;
        }

        if (await look.IsDoneAsync(cancellationToken) != true)
        {
            return true;
        }

        await Task.Delay(Moment, time, cancellationToken);
        return await look.IsDoneAsync(cancellationToken) != true;
    }

    private async Task<DocumentStatus?> ReadAsync(Guid id, CancellationToken cancellationToken)
    {
        await using var command = rules.CreateCommand($"SELECT {DocumentStatus.Columns} FROM message_status WHERE message_id = $1");
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = id });
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        return await row.ReadAsync(cancellationToken) ? DocumentStatus.Read(row) : null;
    }
}
