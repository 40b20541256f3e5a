using Npgsql;

namespace RuleEngineNats.SchemaMigrator;

/// <summary>A statement of a migration that the server refused, and where it stands in the file.</summary>
internal sealed class MigrationFailedException(string file, int line, PostgresException inner)
    : Exception($"{inner.SqlState} {inner.MessageText}", inner)
{
    public string File { get; } = file;

    public int Line { get; } = line;

    public string SqlState => inner.SqlState;

    public string Detail { get; } = string.Join(' ', new[] { inner.Detail, inner.Hint, inner.Where }.Where(part => !string.IsNullOrEmpty(part)));
}
