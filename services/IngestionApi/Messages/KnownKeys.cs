using Microsoft.Extensions.Options;
using Npgsql;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.IngestionApi.Messages;

/// <summary>What is known of an idempotency key.</summary>
internal enum KeyState
{
    /// <summary>Nothing; the stream may still know it.</summary>
    Unknown,

    /// <summary>It came with the same document.</summary>
    Same,

    /// <summary>It came with another document.</summary>
    Other,
}

/// <summary>
/// Idempotency keys that the stream no longer knows: the worker has recorded their documents. Asked for requests with a key alone, and passed over where PostgreSQL does not answer at once:
/// it is not needed for accepting.
/// </summary>
internal sealed partial class KnownKeys(NpgsqlDataSource rules, IOptions<IngestionOptions> options, TimeProvider time, ILogger<KnownKeys> logger)
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    // A batch whose row is not there may have been cut off: its first lines tell.
    private const int Probes = 16;

    private long _pausedUntil = long.MinValue;

    /// <summary>Looks up the document of a key.</summary>
    public async ValueTask<KeyState> FindAsync(Guid id, ReadOnlyMemory<byte> sha256)
    {
        var known = await AskAsync(limit => ReadAsync([id], limit));
        return known is not null && known.TryGetValue(id, out var recorded) ? Compare(recorded, sha256.Span) : KeyState.Unknown;
    }

    /// <summary>The recorded documents of a batch by id; null where it is not known to have come before.</summary>
    public async ValueTask<IReadOnlyDictionary<Guid, byte[]?>?> FindBatchAsync(Guid batch)
    {
        var most = options.Value.MaxLines;
        return await AskAsync(async limit => await IsKnownAsync(batch, Lines(batch, Math.Min(Probes, most)), limit) ? await ReadAsync(Lines(batch, most), limit) : null);
    }

    public static KeyState Compare(byte[]? recorded, ReadOnlySpan<byte> sha256) => recorded is null || sha256.SequenceEqual(recorded) ? KeyState.Same : KeyState.Other;

    private static Guid[] Lines(Guid batch, int count)
    {
        var ids = new Guid[count];
        for (var line = 1; line <= count; line++)
        {
            ids[line - 1] = IngestMessageId.ForLine(batch, line);
        }

        return ids;
    }

    private async ValueTask<T?> AskAsync<T>(Func<CancellationToken, Task<T?>> ask)
        where T : class
    {
        if (time.GetTimestamp() < Volatile.Read(ref _pausedUntil))
        {
            return null;
        }

        using var limit = new CancellationTokenSource(options.Value.KeyLookup, time);
        try
        {
            return await ask(limit.Token);
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException or OperationCanceledException)
        {
            Volatile.Write(ref _pausedUntil, time.GetTimestamp() + (long)(Pause.TotalSeconds * time.TimestampFrequency));
            LogNotAsked(e.Message);
            return null;
        }
    }

    private async Task<bool> IsKnownAsync(Guid batch, Guid[] lines, CancellationToken cancellationToken)
    {
        await using var command = rules.CreateCommand("SELECT EXISTS (SELECT FROM ingest_batches WHERE batch_id = $1) OR EXISTS (SELECT FROM message_status WHERE message_id = ANY ($2))");
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = batch });
        command.Parameters.Add(new NpgsqlParameter<Guid[]> { TypedValue = lines });
        return (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    private async Task<IReadOnlyDictionary<Guid, byte[]?>?> ReadAsync(Guid[] ids, CancellationToken cancellationToken)
    {
        await using var command = rules.CreateCommand("SELECT message_id, body_sha256 FROM message_status WHERE message_id = ANY ($1)");
        command.Parameters.Add(new NpgsqlParameter<Guid[]> { TypedValue = ids });
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        var known = new Dictionary<Guid, byte[]?>();
        while (await row.ReadAsync(cancellationToken))
        {
            known[row.GetGuid(0)] = row.IsDBNull(1) ? null : row.GetFieldValue<byte[]>(1);
        }

        return known;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "idempotency keys are not looked up in PostgreSQL for a second: {Reason}")]
    private partial void LogNotAsked(string reason);
}
