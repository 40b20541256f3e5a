using Npgsql;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.Demo;

internal sealed record DemoWebhook(int Id, string Path, string Secret)
{
    public static async Task<DemoWebhook> RegisterAsync(
        NpgsqlDataSource database, string name, WebhookReceiver receiver, string path, string subject, CancellationToken cancellationToken)
    {
        // In one transaction: after it the secret is encrypted, and SQL cannot read it any more.
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using var register = new NpgsqlCommand("SELECT rule_webhook_register(p_name => $1, p_url => $2)", connection);
        register.Parameters.Add(new() { Value = name });
        register.Parameters.Add(new() { Value = receiver.Url(path) });
        var id = (int)(await register.ExecuteScalarAsync(cancellationToken))!;

        await using var enable = new NpgsqlCommand(
            "SELECT rule_webhook_enable_nats($1, $2, 'nats'), rule_webhook_secret_get($1, 'signing')", connection);
        enable.Parameters.Add(new() { Value = id });
        enable.Parameters.Add(new() { Value = subject });
        string secret;
        await using (var reader = await enable.ExecuteReaderAsync(cancellationToken))
        {
            await reader.ReadAsync(cancellationToken);
            secret = reader.GetString(1);
        }

        await transaction.CommitAsync(cancellationToken);
        return new(id, path, secret);
    }

    public static async Task<long> CountStoredAsync(NpgsqlDataSource database, string subject, CancellationToken cancellationToken)
    {
        await using var count = database.CreateCommand("SELECT count(*) FROM rule_nats_publish_history WHERE subject = $1 AND success");
        count.Parameters.Add(new() { Value = subject });
        return (long)(await count.ExecuteScalarAsync(cancellationToken))!;
    }
}
