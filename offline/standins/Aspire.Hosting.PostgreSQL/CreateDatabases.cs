using Aspire.Hosting.ApplicationModel;
using Npgsql;

namespace Aspire.Hosting.Postgres;

/// <summary>Brings a server that just became ready to what the model says: its init files, then its databases.</summary>
internal static class CreateDatabases
{
    public static async Task RunAsync(PostgresServerResource server, bool isFresh, IResourceCollection resources, ResourceLoggerService logs, CancellationToken cancellationToken)
    {
        await using var connection = await SelectOne.OpenAsync(server, "postgres", cancellationToken).ConfigureAwait(false);
        if (isFresh && server.Annotations.OfType<InitFilesAnnotation>().LastOrDefault() is { Source: var source })
        {
            string[] files = Directory.Exists(source) ? [.. Directory.EnumerateFiles(source, "*.sql").Order(StringComparer.Ordinal)] : [source];
            foreach (var file in files)
            {
                var sql = await File.ReadAllTextAsync(file, cancellationToken).ConfigureAwait(false);
                await ExecuteAsync(connection, sql, cancellationToken).ConfigureAwait(false);
            }
        }

        foreach (var database in resources.OfType<PostgresDatabaseResource>().Where(database => database.Parent == server))
        {
            var script = database.Annotations.OfType<CreationScriptAnnotation>().LastOrDefault()?.Script;
            try
            {
                await ExecuteAsync(connection, script ?? $"CREATE DATABASE {Quoted(database.DatabaseName)}", cancellationToken).ConfigureAwait(false);
            }
            catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.DuplicateDatabase)
            {
                // It is in the data volume since an earlier run.
            }
            catch (NpgsqlException exception)
            {
                logs.Write(server.Name, $"Failed to create database '{database.DatabaseName}': {exception.Message}", isError: true);
            }
        }
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
    }

    private static string Quoted(string identifier)
    {
        using var builder = new NpgsqlCommandBuilder();
        return builder.QuoteIdentifier(identifier);
    }
}
