using Npgsql;
using NpgsqlTypes;

namespace RuleEngineNats.DeliveryWorker.Delivery;

internal static class BatchParameters
{
    /// <summary>Adds a parameter that is an array with one element for each row.</summary>
    public static void Add<TRow, T>(this NpgsqlBatchCommand command, NpgsqlDbType type, IReadOnlyList<TRow> rows, Func<TRow, T> value)
    {
        var values = new T[rows.Count];
        for (var index = 0; index < values.Length; index++)
        {
            values[index] = value(rows[index]);
        }

        command.Parameters.Add(new NpgsqlParameter<T[]> { TypedValue = values, NpgsqlDbType = NpgsqlDbType.Array | type });
    }
}
