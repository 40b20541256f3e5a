using Npgsql;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.AppHost.Tests;

/// <summary>A webhook of one test: registered in SQL, with a subject and a path of its own.</summary>
internal sealed record Webhook(int Id, string Name, string Path, string Secret, WebhookReceiver Receiver)
{
    public static async Task<Webhook> RegisterAsync(NpgsqlDataSource database, WebhookReceiver receiver, string name, string? subject = null)
    {
        await using var connection = await database.OpenConnectionAsync();
        // In one transaction: after it the secret is encrypted, and SQL cannot read it any more.
        await using var transaction = await connection.BeginTransactionAsync();
        var id = (int)(await ExecuteAsync(connection, "SELECT rule_webhook_register($1, $2)", name, receiver.Url($"/{name}")))!;
        await ExecuteAsync(connection, "SELECT rule_webhook_enable_nats($1, $2, 'nats')", id, subject ?? $"webhooks.apphost.{name}");
        var secret = (string)(await ExecuteAsync(connection, "SELECT rule_webhook_secret_get($1, 'signing')", id))!;
        await transaction.CommitAsync();
        return new(id, name, $"/{name}", secret, receiver);
    }

    public static async Task<object?> ExecuteAsync(NpgsqlConnection connection, string sql, params object[] parameters)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        foreach (var parameter in parameters)
        {
            command.Parameters.Add(new() { Value = parameter });
        }

        return await command.ExecuteScalarAsync();
    }

    public async Task<ReceivedRequest> ReceivedAsync()
    {
        await Receiver.WaitForAsync(received => received.At(Path).Any(), $"a delivery to {Path}");
        return Assert.Single(Receiver.At(Path));
    }
}
