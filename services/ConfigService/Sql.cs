using System.Text.Json;
using Npgsql;
using NpgsqlTypes;

namespace RuleEngineNats.ConfigService;

/// <summary>Parameters that may be null, and so need their type said.</summary>
internal static class Sql
{
    public static NpgsqlParameter Of(object? value, NpgsqlDbType type) => new() { Value = value ?? DBNull.Value, NpgsqlDbType = type };

    /// <summary>A JSON object of the entries that have a value; null stays null.</summary>
    public static NpgsqlParameter Json(Dictionary<string, string?>? headers) => Of(
        headers is null
            ? null
            : JsonSerializer.Serialize(headers.Where(header => header.Value is not null).ToDictionary(), ConfigJson.Default.DictionaryStringString),
        NpgsqlDbType.Jsonb);
}

/// <summary>What PostgreSQL says besides the result while it is alive: NOTICE and WARNING.</summary>
internal sealed class Notices : IDisposable
{
    private readonly NpgsqlConnection _connection;
    private readonly List<string> _texts = [];

    public Notices(NpgsqlConnection connection)
    {
        _connection = connection;
        connection.Notice += Keep;
    }

    public IReadOnlyList<string> Texts => _texts;

    public void Dispose() => _connection.Notice -= Keep;

    private void Keep(object sender, NpgsqlNoticeEventArgs notice) => _texts.Add(notice.Notice.MessageText);
}
