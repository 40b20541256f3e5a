using Npgsql;
using RuleEngineNats.Contracts;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.CdcRelay.Outbox;

/// <summary>
/// Makes a row ready to be published whose body is, or may be, too large for a message: reads it where it was left in the table, and puts it into the Object
/// Store where it has to go there. One after the other, so that one large body is in memory at a time, however many rows have one.
/// </summary>
internal sealed class PrepareLargeRow(NpgsqlDataSource dataSource, PayloadObjects objects, StreamGates gates) : IDisposable
{
    private readonly SemaphoreSlim _turn = new(1);

    /// <summary>The gate of a configuration's bucket: while that is unavailable, large rows wait in the table and the others go on.</summary>
    public static string GateOf(string config) => $"{config}/OBJ_{StreamNames.PayloadBucket}";

    /// <summary>Whether a row needs it. What was left in the table may turn out to fit: it then waits behind the gate for no more than a pause.</summary>
    public bool IsNeeded(OutboxRow row, string config) => row.BodyLeft || objects.IsNeeded(config, row.Body.Length);

    /// <returns>The row with its body or its object, or why it cannot be published.</returns>
    public async Task<(OutboxRow Row, PublishOutcome? Failed)> RunAsync(OutboxRow row, string config, CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken);
        try
        {
            if (row.BodyLeft)
            {
                if (await ReadAsync(row.PublishId, cancellationToken) is not { } body)
                {
                    return (row, new PublishOutcome.Unavailable(UnavailableReason.ServerError, "the row is gone"));
                }

                row = row with { Body = body, BodyLeft = false };
            }

            return objects.IsNeeded(config, row.Body.Length) ? await PutAsync(row, config, cancellationToken) : (row, null);
        }
        finally
        {
            gates.Withdraw(GateOf(config));
            _turn.Release();
        }
    }

    public void Dispose() => _turn.Dispose();

    private async Task<(OutboxRow Row, PublishOutcome? Failed)> PutAsync(OutboxRow row, string config, CancellationToken cancellationToken)
    {
        var (message, failed) = await objects.PutAsync(
            new EventMessage(row.Subject, row.Body, row.NatsMessageId, string.Empty) { Config = config, BodySha256 = row.BodySha256 }, cancellationToken);
        // Whatever keeps an object from the bucket concerns the bucket.
        gates.Observe(GateOf(config), failed is PublishOutcome.Unavailable { Message: var why }
            ? new PublishOutcome.Unavailable(UnavailableReason.NoStream, why)
            : new PublishOutcome.Stored(StreamNames.PayloadBucket, 1));
        return (row with { Body = default, BodyObject = message.BodyObject, BodySha256 = message.BodySha256 }, failed);
    }

    private async Task<byte[]?> ReadAsync(long publishId, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(
            "SELECT coalesce(h.body, convert_to(h.payload::text, 'UTF8')) FROM rule_nats_publish_history h WHERE h.publish_id = $1");
        command.Parameters.Add(new() { Value = publishId });
        return await command.ExecuteScalarAsync(cancellationToken) as byte[];
    }
}
