using RuleEngineNats.Entities;

namespace RuleEngineNats.IngestionWorker.Storing;

/// <summary>The statements that bring rows into one table. They are built of names out of the definitions alone, each of them quoted.</summary>
/// <param name="Stage">The temporary table that rows are copied into where some may be there already.</param>
/// <param name="Lock">Keeps others from changing the table's columns until the transaction ends.</param>
/// <param name="CopyToTable">Copies rows into the table itself.</param>
/// <param name="CreateStage">Makes the temporary table that rows are copied into; a commit empties it.</param>
/// <param name="CopyToStage">Copies rows into it.</param>
/// <param name="Upsert">
/// Brings them into the table. Of two that are alike in the unicity the one that was accepted later stays, within a batch the one that comes later in the stream. In the
/// order of the unicity, so that two workers cannot wait for each other.
/// </param>
internal sealed record TableSql(string Stage, string Lock, string CopyToTable, string CreateStage, string CopyToStage, string Upsert)
{
    public static TableSql Of(EntityTable table, string stage)
    {
        EntityColumn[] columns = [.. table.RowColumns, table.Columns[^1]];
        var names = Names(columns.Select(column => column.Name));
        var create = $"CREATE TEMPORARY TABLE {Quote(stage)} ({string.Join(", ", columns.Select(column => $"{Quote(column.Name)} {column.Type}"))}) ON COMMIT DELETE ROWS";
        var copy = $"({names}) FROM STDIN (FORMAT binary)";
        var sql = new TableSql(stage, $"LOCK TABLE {Quote(table.Name)} IN ROW EXCLUSIVE MODE", $"COPY {Quote(table.Name)} {copy}", create, $"COPY {Quote(stage)} {copy}", "");
        if (table.Unicity.Count == 0)
        {
            return sql with { Upsert = $"INSERT INTO {Quote(table.Name)} ({names}) SELECT {names} FROM {Quote(stage)}" };
        }

        var unicity = Names(table.Unicity);
        var changes = string.Join(", ", columns.Where(column => !table.Unicity.Contains(column.Name)).Select(column => $"{Quote(column.Name)} = excluded.{Quote(column.Name)}"));
        return sql with
        {
            Upsert = $"""
                INSERT INTO {Quote(table.Name)} AS t ({names})
                SELECT DISTINCT ON ({unicity}) {names} FROM {Quote(stage)} ORDER BY {unicity}, ctid DESC
                ON CONFLICT ({unicity}) DO UPDATE SET {changes} WHERE excluded.{Quote(EntityTable.IngestedAt)} >= t.{Quote(EntityTable.IngestedAt)}
                """,
        };
    }

    private static string Names(IEnumerable<string> columns) => string.Join(", ", columns.Select(Quote));

    private static string Quote(string name) => EntityDdl.Quote(name);
}
