using System.Text.Json;
using Npgsql;
using RuleEngineNats.ChangeCapture.Formats;
using RuleEngineNats.ChangeCapture.Pgoutput;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.ChangeCapture.Filters;

/// <summary>Which rows of a table are captured: a SQL/JSON path over the row as a JSON object with typed values.</summary>
internal sealed class RowFilter
{
    private readonly string _path;
    private readonly JsonText _row = new(pretty: false);
    private ContentFilter? _filter;

    private RowFilter(NamePattern table, string path) => (Table, _path) = (table, path);

    public NamePattern Table { get; }

    /// <summary>The columns that it asks for.</summary>
    public IReadOnlyCollection<string> Columns => _filter is null ? [] : _filter.Members;

    /// <param name="text">A table, an equals sign, and a path.</param>
    /// <param name="names">What the parts of a table are.</param>
    public static (RowFilter? Filter, string? Problem) Parse(string text, string names)
    {
        var equals = EqualsAt(text);
        if (equals < 0 || string.IsNullOrWhiteSpace(text[(equals + 1)..]))
        {
            return (null, $"'{text}' is no filter: write {names}, an equals sign and a SQL/JSON path, e.g. public.orders=$.total > 100");
        }

        var (table, problem) = NamePattern.Parse(text[..equals], names);
        return (table is null ? null : new(table, text[(equals + 1)..].Trim()), problem);
    }

    /// <summary>PostgreSQL knows the language, and prints what it has read in one form.</summary>
    /// <returns>What is wrong, or null.</returns>
    public async Task<string?> CompileAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT $1::text::jsonpath::text", connection) { Parameters = { new() { Value = _path } } };
        var read = _path;
        try
        {
            read = (string)(await command.ExecuteScalarAsync(cancellationToken))!;
            _filter = ContentFilter.Compile(read);
        }
        catch (PostgresException exception) when (exception.SqlState is PostgresErrorCodes.SyntaxError || exception.SqlState.StartsWith("22", StringComparison.Ordinal))
        {
            return exception.MessageText;
        }
        catch (FormatException exception)
        {
            return $"{read}: {exception.Message}; take members, [index], [*], ?( ), comparisons, starts with, exists( ), &&, || and !( )";
        }

        return _filter switch
        {
            { HasRegex: true } => "like_regex is not supported: take starts with, or a publication's WHERE",
            { Members.Count: 0 } => "it asks for no column",
            _ => null,
        };
    }

    /// <summary>What cannot be judged passes: nothing is left out unseen.</summary>
    public bool Passes(WalMessage.Row row)
    {
        var values = (row.New ?? row.Old)!;
        var keyOnly = row.New is null && row.OldIsKey;
        _row.Clear();
        _row.BeginObject();
        for (var index = 0; index < values.Length; index++)
        {
            var column = row.Relation.Columns[index];
            if (!_filter!.Members.Contains(column.Name))
            {
                continue;
            }

            if (values[index].Kind is ValueKind.UnchangedToast || (keyOnly && !column.IsKey))
            {
                return true;
            }

            _row.Name(column.NameUtf8);
            if (values[index].Kind is ValueKind.Null)
            {
                _row.Null();
            }
            else
            {
                TypedValue.Write(_row, column.TypeId, values[index].Text.Span);
            }
        }

        _row.EndObject();
        return Matches();
    }

    public override string ToString() => $"{Table}={_path}";

    // A name in double quotes may have one.
    private static int EqualsAt(string text)
    {
        var quoted = false;
        for (var at = 0; at < text.Length; at++)
        {
            quoted ^= text[at] == '"';
            if (!quoted && text[at] == '=')
            {
                return at;
            }
        }

        return -1;
    }

    private bool Matches()
    {
        try
        {
            using var row = JsonDocument.Parse(_row.Written.ToArray());
            return _filter!.Matches(row);
        }
        catch (Exception exception) when (exception is JsonException or FilterTooCostlyException)
        {
            return true;
        }
    }
}
