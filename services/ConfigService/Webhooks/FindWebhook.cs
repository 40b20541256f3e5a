using System.Globalization;
using Npgsql;

namespace RuleEngineNats.ConfigService.Webhooks;

/// <summary>Looks a webhook up as rule_webhook_get does: by id if the text is a number, failing that by name.</summary>
internal static class FindWebhook
{
    public static async Task<int?> IdAsync(NpgsqlConnection connection, string identifier, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            SELECT w.webhook_id FROM rule_webhooks w
             WHERE w.webhook_id = $1 OR w.webhook_name = $2
             ORDER BY w.webhook_id IS NOT DISTINCT FROM $1 DESC LIMIT 1
            """, connection);
        command.Parameters.Add(new NpgsqlParameter { Value = Number(identifier) ?? (object)DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Integer });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = identifier });
        return (int?)await command.ExecuteScalarAsync(cancellationToken);
    }

    private static int? Number(string identifier)
        => int.TryParse(identifier, NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : null;
}
