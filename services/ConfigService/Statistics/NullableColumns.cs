using Npgsql;

namespace RuleEngineNats.ConfigService.Statistics;

/// <summary>Columns of the views that are null while there is nothing to count.</summary>
internal static class NullableColumns
{
    public static T? Nullable<T>(this NpgsqlDataReader row, int ordinal)
        where T : class
        => row.IsDBNull(ordinal) ? null : row.GetFieldValue<T>(ordinal);

    public static double? Number(this NpgsqlDataReader row, int ordinal) => row.IsDBNull(ordinal) ? null : row.GetDouble(ordinal);

    public static DateTimeOffset? Time(this NpgsqlDataReader row, int ordinal)
        => row.IsDBNull(ordinal) ? null : row.GetFieldValue<DateTimeOffset>(ordinal);
}
