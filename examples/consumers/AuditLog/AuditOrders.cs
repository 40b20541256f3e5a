using MassTransit;
using Npgsql;
using RuleEngineNats.Consumers;

namespace RuleEngineNats.AuditLog;

/// <summary>What this consumer reads of an event; members that the JSON has besides are left alone.</summary>
public sealed record OrderChanged(string? Order, decimal? Total);

/// <summary>
/// Writes each event of an order into a table of its own. An event may come twice, after a crash for example: its id is the table's key, so
/// the second time changes nothing.
/// </summary>
public sealed class AuditOrders(NpgsqlDataSource database) : IConsumer<OrderChanged>
{
    public async Task Consume(ConsumeContext<OrderChanged> context)
    {
        var received = context.Event();
        await using var command = database.CreateCommand("""
            INSERT INTO order_audit (event_id, subject, stored_at, order_number, total, traceparent) VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (event_id) DO NOTHING
            """);
        command.Parameters.Add(new() { Value = received.Id });
        command.Parameters.Add(new() { Value = received.Subject });
        command.Parameters.Add(new() { Value = received.StoredAt });
        command.Parameters.Add(new() { Value = context.Message.Order ?? throw new InvalidOperationException("an order without a number") });
        command.Parameters.Add(new() { Value = (object?)context.Message.Total ?? DBNull.Value });
        command.Parameters.Add(new() { Value = (object?)context.Headers.Get<string>("traceparent") ?? DBNull.Value });
        await command.ExecuteNonQueryAsync(context.CancellationToken);
    }
}
