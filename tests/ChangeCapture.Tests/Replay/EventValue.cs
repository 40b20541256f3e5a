using System.Text.Json;

namespace RuleEngineNats.ChangeCapture.Tests.Replay;

/// <summary>A value of an event, text or typed, as PostgreSQL reads it.</summary>
internal static class EventValue
{
    private const uint Json = 114;
    private const uint Jsonb = 3802;

    public static string? Text(JsonElement value, uint type) => value.ValueKind switch
    {
        JsonValueKind.Null => null,
        JsonValueKind.String => value.GetString(),
        JsonValueKind.Array when type is not (Json or Jsonb) => Array(value),
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
