using Npgsql;
using RuleEngineNats.DeliveryWorker.Isolation;

namespace RuleEngineNats.DeliveryWorker.Delivery;

/// <summary>
/// Writes many records in one round trip and one transaction: calls that are opened, calls that attempts end, a history row for each attempt, and what
/// all this says about the endpoints.
/// </summary>
internal static class AttemptBatch
{
    public static async Task WriteAsync(NpgsqlConnection connection, IReadOnlyList<AttemptRecord> records, Circuits circuits, CancellationToken cancellationToken)
    {
        // A batch without a transaction of its own is one: all of it or nothing.
        await using var batch = new NpgsqlBatch(connection);
        CallRows.AddOpened(batch, [.. records.Where(record => record.Change is CallChange.Open or CallChange.Spill)]);
        CallRows.AddEnded(batch, [.. records.Where(record => record.Change is CallChange.Succeed or CallChange.Fail)]);
        HistoryRows.Add(batch, [.. records.Where(record => record.Attempt is not null)]);
        var news = EndpointNews.Of(records, circuits);
        EndpointNews.Add(batch, news);
        // The statements are few and connections are pooled: after the first time on each nothing is parsed or planned, nor asked for.
        await batch.PrepareAsync(cancellationToken);
        if (news.Count == 0)
        {
            await batch.ExecuteNonQueryAsync(cancellationToken);
            return;
        }

        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            circuits.Record(reader.GetInt32(0), reader.GetString(1) == "open", reader.GetInt64(2));
        }
    }
}
