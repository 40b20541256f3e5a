using System.Diagnostics;
using System.Globalization;
using Npgsql;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.ChangeCapture.Tests.Replay;

/// <summary>A database that has only what a stream brings.</summary>
internal sealed class SecondDatabase : IAsyncDisposable
{
    private readonly NpgsqlDataSource _database;

    private SecondDatabase(string connectionString) => (ConnectionString, _database) = (connectionString, NpgsqlDataSource.Create(connectionString));

    public string ConnectionString { get; }

    /// <param name="sql">What it has before, as the first.</param>
    /// <param name="server">Where it is; null: on the server that all tests share.</param>
    public static async Task<SecondDatabase> CreateAsync(string sql, PostgresServer? server = null)
    {
        server ??= await PostgresServer.StartAsync();
        var second = new SecondDatabase(await server.CreateEmptyDatabaseAsync());
        await using var command = second._database.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
        return second;
    }

    /// <summary>Replays the whole stream: each message is there once and in its place, and then each table holds what it holds in the first database.</summary>
    /// <param name="typed">Whether the events have <c>--values typed</c>.</param>
    /// <param name="before">What is done to both databases before they are compared.</param>
    /// <returns>What was compared.</returns>
    public async Task<string> AssertEqualAsync(CaptureHarness harness, bool typed = false, string? before = null)
    {
        await using var to = await OpenAsync(_database);
        await using var from = await OpenAsync(harness.Database);
        var clock = Stopwatch.StartNew();
        await using var replayer = new Replayer(to, typed);
        var order = new StreamOrder(harness.Slot);
        await foreach (var stored in harness.StreamAsync())
        {
            order.Next(stored);
            await replayer.ApplyAsync(stored);
        }

        await replayer.FlushAsync();
        var replayed = string.Create(CultureInfo.InvariantCulture, $"{order.Messages} messages, {replayer.Rows} rows replayed in {clock.Elapsed.TotalSeconds:0} s");
        foreach (var connection in before is null ? [] : (NpgsqlConnection[])[from, to])
        {
            await using var command = new NpgsqlCommand(before, connection);
            await command.ExecuteNonQueryAsync();
        }

        var (first, copy) = (await Contents.ReadAsync(from), await Contents.ReadAsync(to));
        Assert.Equal(first, copy);
        return string.Join('\n', [replayed, .. first.Select(table => $"{table.Key}: {table.Value}")]);
    }

    public ValueTask DisposeAsync() => _database.DisposeAsync();

    private static async Task<NpgsqlConnection> OpenAsync(NpgsqlDataSource database)
    {
        var connection = await database.OpenConnectionAsync();
        await using var settings = new NpgsqlCommand(Replayer.Settings, connection);
        await settings.ExecuteNonQueryAsync();
        return connection;
    }
}
