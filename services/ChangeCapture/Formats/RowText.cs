using System.Security.Cryptography;
using RuleEngineNats.ChangeCapture.Pgoutput;

namespace RuleEngineNats.ChangeCapture.Formats;

/// <summary>Which of a row's columns are shown, and how.</summary>
internal static class RowText
{
    /// <summary>The values of a row as a JSON object.</summary>
    /// <param name="keyOnly">The server sent the key alone; its NULLs for the other columns say nothing about them.</param>
    public static void Write(JsonText json, Relation relation, Value[] row, bool keyOnly, RowShape shape)
    {
        json.BeginObject();
        for (var index = 0; index < row.Length; index++)
        {
            var column = relation.Columns[index];
            if (IsShown(column, row[index], keyOnly))
            {
                json.Name(column.NameUtf8);
                Write(json, column, row[index], shape);
            }
        }

        json.EndObject();
    }

    /// <summary>The names of the columns that the server left out because their stored values did not change; nothing where there are none.</summary>
    public static void WriteUnchanged(JsonText json, Relation relation, Value[] row)
    {
        var any = false;
        for (var index = 0; index < row.Length; index++)
        {
            if (!IsUnchanged(relation.Columns[index], row[index]))
            {
                continue;
            }

            if (!any)
            {
                any = true;
                json.Name("unchanged_toast"u8);
                json.BeginArray();
            }

            json.Item();
            json.String(relation.Columns[index].NameUtf8);
        }

        if (any)
        {
            json.EndArray();
        }
    }

    /// <summary>Whether the server left the value out because what is stored did not change.</summary>
    public static bool IsUnchanged(Column column, Value value) => value.Kind is ValueKind.UnchangedToast && column.Treatment is not ColumnTreatment.Drop;

    public static bool IsShown(Column column, Value value, bool keyOnly)
        => column.Treatment is not ColumnTreatment.Drop && value.Kind is not ValueKind.UnchangedToast && (column.IsKey || !keyOnly);

    /// <summary>What stands for a value that is hashed or masked; null for one that is shown as it is.</summary>
    public static byte[]? Replacement(Column column, Value value, byte[] salt) => column.Treatment switch
    {
        ColumnTreatment.Hash => System.Text.Encoding.ASCII.GetBytes(Convert.ToHexStringLower(SHA256.HashData([.. salt, .. value.Text.Span]))),
        ColumnTreatment.Mask => "***"u8.ToArray(),
        _ => null,
    };

    private static void Write(JsonText json, Column column, Value value, RowShape shape)
    {
        if (value.Kind is ValueKind.Null)
        {
            json.Null();
        }
        else if (column.Treatment is not ColumnTreatment.Show)
        {
            json.String(Replacement(column, value, shape.HashSalt)!);
        }
        else if (shape.Values is ValueStyle.Typed)
        {
            TypedValue.Write(json, column.TypeId, value.Text.Span);
        }
        else
        {
            json.String(value.Text.Span);
        }
    }
}
