using Npgsql;
using RuleEngineNats.ChangeCapture.Pgoutput;

namespace RuleEngineNats.ChangeCapture.Filters;

/// <summary>Which tables, columns, rows and operations are captured.</summary>
internal sealed class CaptureFilter
{
    private const string ColumnParts = "schema.table.column";

    private readonly NamePattern[] _tables;
    private readonly NamePattern[] _excludedTables;
    private readonly NamePattern[] _columns;
    private readonly NamePattern[] _excludedColumns;
    private readonly NamePattern[] _hashed;
    private readonly NamePattern[] _masked;
    private readonly RowFilter[] _rows;
    private readonly HashSet<CapturedOperation> _operations;
    private readonly List<string> _problems = [];

    public CaptureFilter(CaptureOptions options)
    {
        _tables = Parse(nameof(options.Tables), options.Tables, NamePattern.Table);
        _excludedTables = Parse(nameof(options.ExcludedTables), options.ExcludedTables, NamePattern.Table);
        _columns = Parse(nameof(options.Columns), options.Columns, ColumnParts);
        _excludedColumns = Parse(nameof(options.ExcludedColumns), options.ExcludedColumns, ColumnParts);
        _hashed = Parse(nameof(options.HashedColumns), options.HashedColumns, ColumnParts);
        _masked = Parse(nameof(options.MaskedColumns), options.MaskedColumns, ColumnParts);
        _rows = [.. options.RowFilters.Select(ParseRows).OfType<RowFilter>()];
        _operations = [.. options.Operations];
    }

    /// <summary>What is wrong with the patterns themselves.</summary>
    public IReadOnlyList<string> Problems => _problems;

    /// <summary>The tables that are named without wildcards.</summary>
    public IReadOnlyList<(string Schema, string Table)> LiteralTables
        => _tables.Length > 0 && _tables.All(pattern => pattern.IsLiteral) ? [.. _tables.Select(pattern => (pattern.Names[0], pattern.Names[1]))] : [];

    /// <summary>Reads the filters for rows, which takes a database.</summary>
    /// <returns>What is wrong with them.</returns>
    public async Task<IReadOnlyList<string>> CompileRowsAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var problems = new List<string>();
        foreach (var filter in _rows)
        {
            if (await filter.CompileAsync(connection, cancellationToken) is { } problem)
            {
                problems.Add($"{nameof(CaptureOptions.RowFilters)}: {filter}: {problem}");
            }
        }

        return problems;
    }

    public bool Includes(CapturedOperation operation) => _operations.Contains(operation);

    public bool Includes(string schema, string table)
        => (_tables.Length == 0 || _tables.Any(pattern => pattern.Matches(schema, table))) && !_excludedTables.Any(pattern => pattern.Matches(schema, table));

    /// <summary>Settles for a table, as the server describes it, what is shown of it.</summary>
    public void Apply(Relation relation)
    {
        relation.Included = Includes(relation.Schema, relation.Name);
        var rows = Array.FindAll(_rows, filter => filter.Table.Matches(relation.Schema, relation.Name));
        relation.Wanted = rows.Length == 0 ? null : row => Array.TrueForAll(rows, filter => filter.Passes(row));
        var selected = _columns.Any(pattern => pattern.Matches(relation.Schema, relation.Name));
        foreach (var column in relation.Columns)
        {
            column.Treatment =
                Any(_excludedColumns, relation, column) || (selected && !Any(_columns, relation, column)) ? ColumnTreatment.Drop
                : Any(_masked, relation, column) ? ColumnTreatment.Mask
                : Any(_hashed, relation, column) ? ColumnTreatment.Hash
                : ColumnTreatment.Show;
        }
    }

    /// <summary>Names every pattern that fits nothing of what is published.</summary>
    public IReadOnlyList<string> Check(IReadOnlyList<PublishedTable> published)
    {
        var problems = new List<string>();
        foreach (var (option, patterns) in ((string, NamePattern[])[])[(nameof(CaptureOptions.Tables), _tables), (nameof(CaptureOptions.ExcludedTables), _excludedTables),
            (nameof(CaptureOptions.RowFilters), [.. _rows.Select(filter => filter.Table)])])
        {
            foreach (var pattern in patterns.Where(pattern => !published.Any(table => pattern.Matches(table.Schema, table.Name))))
            {
                problems.Add($"{option}: no published table is {pattern}; published: {Some(published.Select(table => $"{table.Schema}.{table.Name}"))}");
            }
        }

        foreach (var (option, patterns) in ((string, NamePattern[])[])[
            (nameof(CaptureOptions.Columns), _columns), (nameof(CaptureOptions.ExcludedColumns), _excludedColumns),
            (nameof(CaptureOptions.HashedColumns), _hashed), (nameof(CaptureOptions.MaskedColumns), _masked)])
        {
            foreach (var pattern in patterns)
            {
                var tables = published.Where(table => pattern.Matches(table.Schema, table.Name)).ToArray();
                if (!tables.Any(table => table.Columns.Any(column => pattern.Matches(table.Schema, table.Name, column))))
                {
                    problems.Add(tables.Length == 0
                        ? $"{option}: no published table has a column {pattern}; published: {Some(published.Select(table => $"{table.Schema}.{table.Name}"))}"
                        : $"{option}: no column is {pattern}; {tables[0].Schema}.{tables[0].Name} has {Some(tables[0].Columns)}");
                }
            }
        }

        foreach (var filter in _rows)
        {
            problems.AddRange(
                from table in published.Where(table => filter.Table.Matches(table.Schema, table.Name))
                from column in filter.Columns.Except(table.Columns)
                select $"{nameof(CaptureOptions.RowFilters)}: {filter}: {table.Schema}.{table.Name} has no column {column}; it has {Some(table.Columns)}");
        }

        if (published.Count > 0 && problems.Count == 0 && !published.Any(table => Includes(table.Schema, table.Name)))
        {
            problems.Add($"{nameof(CaptureOptions.ExcludedTables)}: nothing is left of the published tables; published: {Some(published.Select(table => $"{table.Schema}.{table.Name}"))}");
        }

        return problems;
    }

    private static bool Any(NamePattern[] patterns, Relation relation, Column column)
        => patterns.Any(pattern => pattern.Matches(relation.Schema, relation.Name, column.Name));

    private static string Some(IEnumerable<string> names)
    {
        const int Most = 10;
        var all = names.ToArray();
        return all.Length == 0 ? "nothing" : string.Join(", ", all.Take(Most)) + (all.Length > Most ? $" and {all.Length - Most} more" : "");
    }

    private RowFilter? ParseRows(string text)
    {
        var (filter, problem) = RowFilter.Parse(text, NamePattern.Table);
        if (problem is not null)
        {
            _problems.Add($"{nameof(CaptureOptions.RowFilters)}: {problem}");
        }

        return filter;
    }

    private NamePattern[] Parse(string option, IEnumerable<string> texts, string parts)
    {
        var patterns = new List<NamePattern>();
        foreach (var text in texts)
        {
            var (pattern, problem) = NamePattern.Parse(text, parts);
            if (pattern is null)
            {
                _problems.Add($"{option}: {problem}");
            }
            else
            {
                patterns.Add(pattern);
            }
        }

        return [.. patterns];
    }
}

/// <summary>A table of the publications that are read.</summary>
internal sealed record PublishedTable(string Schema, string Name, IReadOnlyList<string> Columns);
