using System.Threading.Channels;
using Npgsql;

namespace RuleEngineNats.PublishService.Keys;

/// <summary>What PostgreSQL remembers of a message id.</summary>
/// <param name="BodySha256">Hash of the body it was used with.</param>
/// <param name="Stream">Where that event is stored; null while it is pending.</param>
/// <param name="Sequence">Its sequence there.</param>
internal sealed record MessageKey(byte[] BodySha256, string? Stream, ulong Sequence);

/// <summary>
/// Answers whether a message id was used within the webhook's <c>deduplicate_for</c>, which reaches beyond the stream's duplicate window.
/// It is asked only for an id that the client gave, on a webhook that remembers ids. Requests that wait while a query runs go together into the
/// next one, so the cost is one index probe an event and one round trip per batch, never a commit: the key of a new event is written after its
/// acknowledgement, with its history row.
/// </summary>
/// <remarks>
/// What that promises: within the duplicate window the stream decides, whatever is in PostgreSQL. Beyond it the key decides; it is missing only if this
/// process was killed in the 50 ms between acknowledgement and write, or the database was away longer than the window. DURABILITY_HISTORY has no such gap.
/// </remarks>
internal sealed class MessageKeys(NpgsqlDataSource dataSource) : BackgroundService
{
    private const int MaxBatch = 1000;

    private readonly Channel<Question> _questions = Channel.CreateUnbounded<Question>(new UnboundedChannelOptions { SingleReader = true });

    /// <exception cref="NpgsqlException">The database cannot be asked.</exception>
    public Task<MessageKey?> FindAsync(int webhookId, string messageId)
    {
        var question = new Question(webhookId, messageId);
        return _questions.Writer.TryWrite(question) ? question.Answer.Task : Task.FromException<MessageKey?>(new NpgsqlException("the service is stopping"));
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        _questions.Writer.TryComplete();
        await base.StopAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var batch = new List<Question>(MaxBatch);
        while (await _questions.Reader.WaitToReadAsync(CancellationToken.None))
        {
            while (batch.Count < MaxBatch && _questions.Reader.TryRead(out var question))
            {
                batch.Add(question);
            }

            await AnswerAsync(batch);
            batch.Clear();
        }
    }

    private async Task AnswerAsync(List<Question> batch)
    {
        try
        {
            // Nearly every id is new: the history is asked for the others alone.
            if (await AnyIsKnownAsync(batch))
            {
                await AnswerKnownAsync(batch);
            }

            foreach (var question in batch)
            {
                question.Answer.TrySetResult(null);
            }
        }
        catch (Exception exception)
        {
            // Each of them is told, and says UNAVAILABLE to its client; the next batch asks again.
            foreach (var question in batch)
            {
                question.Answer.TrySetException(exception as NpgsqlException ?? new NpgsqlException("message keys could not be read", exception));
            }
        }
    }

    private async Task<bool> AnyIsKnownAsync(List<Question> batch)
    {
        // OFFSET 0 keeps it one index probe an id: as a plain join, planned while the table is small, it reads the whole table ever after.
        await using var command = Command(
            batch,
            """
            SELECT 1
              FROM unnest($1, $2) AS q (webhook_id, message_id)
             CROSS JOIN LATERAL (SELECT FROM rule_nats_message_keys k WHERE k.webhook_id = q.webhook_id AND k.message_id = q.message_id OFFSET 0) k
             LIMIT 1
            """);
        return await command.ExecuteScalarAsync(CancellationToken.None) is not null;
    }

    private async Task AnswerKnownAsync(List<Question> batch)
    {
        await using var command = Command(
            batch,
            """
            SELECT q.number, k.body_sha256, h.stream_name, coalesce(h.sequence_number, 0)
              FROM unnest($1, $2) WITH ORDINALITY AS q (webhook_id, message_id, number)
             CROSS JOIN LATERAL (SELECT * FROM rule_nats_message_keys k
                                  WHERE k.webhook_id = q.webhook_id AND k.message_id = q.message_id AND k.expires_at > now() OFFSET 0) k
              LEFT JOIN rule_nats_publish_history h ON h.publish_id = k.publish_id
             WHERE h.state IS DISTINCT FROM 'refused'
            """);
        await using var reader = await command.ExecuteReaderAsync(CancellationToken.None);
        while (await reader.ReadAsync(CancellationToken.None))
        {
            var key = new MessageKey(reader.GetFieldValue<byte[]>(1), reader.IsDBNull(2) ? null : reader.GetString(2), (ulong)reader.GetInt64(3));
            batch[(int)reader.GetInt64(0) - 1].Answer.TrySetResult(key);
        }
    }

    private NpgsqlCommand Command(List<Question> batch, string sql)
    {
        var command = dataSource.CreateCommand(sql);
        command.CommandTimeout = 5;
        command.Parameters.Add(new NpgsqlParameter<int[]> { TypedValue = [.. batch.Select(question => question.WebhookId)] });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. batch.Select(question => question.MessageId)] });
        return command;
    }

    private sealed record Question(int WebhookId, string MessageId)
    {
        public TaskCompletionSource<MessageKey?> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
