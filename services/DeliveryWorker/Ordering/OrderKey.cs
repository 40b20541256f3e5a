using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using RuleEngineNats.DeliveryWorker.Delivery;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.DeliveryWorker.Ordering;

/// <summary>The key of an event whose webhook takes events in order: the same for queued calls as <c>rule_webhook_order_key</c> finds it.</summary>
internal static class OrderKey
{
    private const int MaxLength = 200;
    private const string Header = "header:";

    /// <summary>Empty for a webhook that has one order for all, and for an event without the key.</summary>
    public static string Of(DeliverySettings settings, OutgoingEvent outgoing)
    {
        if (settings.OrderBy is not { } by)
        {
            return string.Empty;
        }

        var key = by.StartsWith(Header, StringComparison.Ordinal) ? OfHeader(by[Header.Length..], outgoing) : OfBody(by, outgoing.Body);
        return key.Length <= MaxLength ? key : Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)));
    }

    private static string OfHeader(string name, OutgoingEvent outgoing)
        => outgoing.Headers.FirstOrDefault(header => header.Key.Equals(name, StringComparison.OrdinalIgnoreCase)).Value ?? string.Empty;

    // $.lines[0].sku is the steps lines, 0, sku.
    private static string OfBody(string path, ReadOnlyMemory<byte> body)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            var value = document.RootElement;
            foreach (var step in path[1..].Split(['.', '[', ']'], StringSplitOptions.RemoveEmptyEntries))
            {
                if (value.ValueKind is JsonValueKind.Object && value.TryGetProperty(step, out var member))
                {
                    value = member;
                }
                else if (value.ValueKind is JsonValueKind.Array && int.TryParse(step, out var index) && index < value.GetArrayLength())
                {
                    value = value[index];
                }
                else
                {
                    return string.Empty;
                }
            }

            return value.ValueKind switch
            {
                JsonValueKind.String => value.GetString()!,
                JsonValueKind.Null => string.Empty,
                _ => value.GetRawText(),
            };
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return string.Empty; // No JSON, or a string of half a character.
        }
    }
}
