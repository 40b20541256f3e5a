using System.Globalization;
using System.Text.Json;
using Npgsql;
using NpgsqlTypes;

namespace RuleEngineNats.Demo;

/// <summary>1,000 events by SQL at 200 a second, one a transaction; every tenth transaction is rolled back. Fifty are said twice.</summary>
internal static class SqlPublisher
{
    public const int Events = 1_000;
    public const int RolledBack = Events / 10;
    public const int Repeats = 50;
    public const int WarmUps = 50;

    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(5);

    /// <summary>Services that have just started compile what they run: without these, the first second would be what the latency shows.</summary>
    public static async Task WarmUpAsync(NpgsqlDataSource database, DemoWebhook webhook, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        for (var i = 0; i < WarmUps; i++)
        {
            await SayAsync(connection, webhook, string.Create(CultureInfo.InvariantCulture, $"warm-up-{i}"), cancellationToken);
        }
    }

    public static async Task PublishAsync(NpgsqlDataSource database, DemoWebhook webhook, SentEvents sent, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        using var pace = new PeriodicTimer(Interval);
        for (var i = 0; i < Events; i++)
        {
            await pace.WaitForNextTickAsync(cancellationToken);
            var id = string.Create(CultureInfo.InvariantCulture, $"sql-{i}");
            await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
            await SayAsync(connection, webhook, id, cancellationToken);
            if (i % 10 == 9)
            {
                await transaction.RollbackAsync(cancellationToken);
                sent.AddRolledBack(id);
                continue;
            }

            await transaction.CommitAsync(cancellationToken);
            sent.AddCommitted(id);
        }

        for (var i = 0; i < Repeats; i++)
        {
            if (await SayAsync(connection, webhook, string.Create(CultureInfo.InvariantCulture, $"sql-{i * 10}"), cancellationToken))
            {
                sent.AddDuplicate();
            }
        }
    }

    private static async Task<bool> SayAsync(NpgsqlConnection connection, DemoWebhook webhook, string id, CancellationToken cancellationToken)
    {
        await using var publish = new NpgsqlCommand("SELECT rule_webhook_publish_nats($1, $2, $3)", connection);
        publish.Parameters.Add(new() { Value = webhook.Id });
        publish.Parameters.Add(new() { Value = SentEvents.Payload(id), NpgsqlDbType = NpgsqlDbType.Jsonb });
        publish.Parameters.Add(new() { Value = id });
        using var answer = JsonDocument.Parse((string)(await publish.ExecuteScalarAsync(cancellationToken))!);
        return answer.RootElement.GetProperty("duplicate").GetBoolean();
    }
}
