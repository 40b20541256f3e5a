using Npgsql;
using NpgsqlTypes;

namespace RuleEngineNats.IngestionApi.Status;

/// <summary>Which rows of <c>message_status</c>, and how many of them.</summary>
internal sealed record StatusQuery
{
    public const int DefaultLimit = 100;
    public const int MostLimit = 1000;

    private const string Where = """
        ($1::timestamptz IS NULL OR received_at >= $1) AND ($2::timestamptz IS NULL OR received_at < $2)
        AND ($3::text IS NULL OR status = $3) AND ($4::text IS NULL OR entity_type = $4) AND ($5::text IS NULL OR error_code = $5)
        AND ($6::timestamptz IS NULL OR (received_at, message_id) > ($6, $7::uuid)) AND ($8 = false OR resubmitted_as IS NULL)
        """;

    public DateTimeOffset? Since { get; init; }

    public DateTimeOffset? Until { get; init; }

    public string? Status { get; init; }

    public string? Entity { get; init; }

    public string? Code { get; init; }

    public Cursor? After { get; init; }

    /// <summary>Only dead letters that were not sent again.</summary>
    public bool OnlyOpen { get; init; }

    public int Limit { get; init; } = DefaultLimit;

    /// <summary>The rows in their order, and one more than <see cref="Limit"/> where there are more.</summary>
    public async Task<List<T>> ListAsync<T>(NpgsqlDataSource rules, string columns, Func<NpgsqlDataReader, T> read, CancellationToken cancellationToken)
    {
        await using var command = rules.CreateCommand($"SELECT {columns} FROM message_status WHERE {Where} ORDER BY received_at, message_id LIMIT $9");
        AddTo(command);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = Limit + 1 });
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        var found = new List<T>();
        while (await row.ReadAsync(cancellationToken))
        {
            found.Add(read(row));
        }

        return found;
    }

    public async Task<long> CountAsync(NpgsqlDataSource rules, CancellationToken cancellationToken)
    {
        await using var command = rules.CreateCommand($"SELECT count(*) FROM message_status WHERE {Where}");
        AddTo(command);
        return (long)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    private void AddTo(NpgsqlCommand command)
    {
        Add(Since?.UtcDateTime, NpgsqlDbType.TimestampTz);
        Add(Until?.UtcDateTime, NpgsqlDbType.TimestampTz);
        Add(Status, NpgsqlDbType.Text);
        Add(Entity, NpgsqlDbType.Text);
        Add(Code, NpgsqlDbType.Text);
        Add(After?.ReceivedAt.UtcDateTime, NpgsqlDbType.TimestampTz);
        Add(After?.MessageId, NpgsqlDbType.Uuid);
        Add(OnlyOpen, NpgsqlDbType.Boolean);

        void Add(object? value, NpgsqlDbType type) => command.Parameters.Add(new() { Value = value ?? DBNull.Value, NpgsqlDbType = type });
    }
}
