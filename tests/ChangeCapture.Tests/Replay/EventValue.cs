using System.Text.Json;

namespace RuleEngineNats.ChangeCapture.Tests.Replay;

/// <summary>A value of an event, in either style, as PostgreSQL reads it.</summary>
internal static class EventValue
{
    private const uint Json = 114;
    private const uint Jsonb = 3802;

    /// <param name="type">The OID of its type.</param>
    /// <param name="typed">Whether JSON stands for itself (<c>--values typed</c>).</param>
    public static string? Text(JsonElement value, uint type, bool typed) => value.ValueKind switch
    {
        JsonValueKind.Null => null,
        _ when typed && type is (Json or Jsonb) => value.GetRawText(),
        JsonValueKind.String => value.GetString(),
        JsonValueKind.Array => Array(value),
        _ => value.GetRawText(),
    };

    private static string Array(JsonElement array) => "{" + string.Join(',', array.EnumerateArray().Select(element => element.ValueKind switch
    {
        JsonValueKind.Null => "NULL",
        JsonValueKind.Array => Array(element),
        JsonValueKind.String => $"\"{element.GetString()!.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\"",
        _ => element.GetRawText(),
    })) + "}";
}
