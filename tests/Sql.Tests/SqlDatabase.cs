using Npgsql;

namespace RuleEngineNats.Sql.Tests;

/// <summary>A fresh database with the whole schema, and short ways to ask it.</summary>
internal sealed class SqlDatabase : IAsyncDisposable
{
    private SqlDatabase(NpgsqlDataSource source, string connectionString) => (Source, ConnectionString) = (source, connectionString);

    public NpgsqlDataSource Source { get; }

    public string ConnectionString { get; }

    public static async Task<SqlDatabase> CreateAsync(PostgresServer? server = null)
    {
        server ??= await PostgresServer.StartAsync();
        var connectionString = await server.CreateDatabaseAsync();
        return new SqlDatabase(NpgsqlDataSource.Create(connectionString), connectionString);
    }

    /// <summary>A database with one webhook (id 1, name orders) that publishes to webhooks.orders.</summary>
    public static async Task<SqlDatabase> WithWebhookAsync(string mode = "nats", PostgresServer? server = null)
    {
        var database = await CreateAsync(server);
        await database.ExecuteAsync("SELECT rule_webhook_register('orders', 'https://example.com/hook')");
        await database.ExecuteAsync("SELECT rule_webhook_enable_nats(1, NULL, $1)", mode);
        return database;
    }

    public Task<T> ScalarAsync<T>(string sql, params object?[] parameters) => ScalarAsync<T>(null, sql, parameters);

    public async Task<T> ScalarAsync<T>(NpgsqlConnection? connection, string sql, params object?[] parameters)
    {
        await using var own = connection is null ? await Source.OpenConnectionAsync() : null;
        await using var command = Command(connection ?? own!, sql, parameters);
        return await command.ExecuteScalarAsync() is T value ? value : default!;
    }

    public Task ExecuteAsync(string sql, params object?[] parameters) => ExecuteAsync(null, sql, parameters);

    public async Task ExecuteAsync(NpgsqlConnection? connection, string sql, params object?[] parameters)
    {
        await using var own = connection is null ? await Source.OpenConnectionAsync() : null;
        await using var command = Command(connection ?? own!, sql, parameters);
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>The error of a statement that must fail.</summary>
    public async Task<PostgresException> RefusedAsync(string sql, params object?[] parameters)
        => await Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync(sql, parameters));

    public async ValueTask DisposeAsync() => await Source.DisposeAsync();

    private static NpgsqlCommand Command(NpgsqlConnection connection, string sql, object?[] parameters)
    {
        var command = new NpgsqlCommand(sql, connection);
        foreach (var value in parameters)
        {
            command.Parameters.Add(new NpgsqlParameter { Value = value ?? DBNull.Value });
        }

        return command;
    }
}
