namespace RuleEngineNats.DeliveryWorker.Delivery;

/// <summary>Those headers of an answer that are kept with the attempt. Only what is on the list: the rest may hold credentials.</summary>
internal static class KeptHeaders
{
    private const int MaxValueBytes = 1024;

    public static IReadOnlyDictionary<string, string>? Of(HttpResponseMessage response, string[] names)
    {
        Dictionary<string, string>? kept = null;
        foreach (var name in names)
        {
            if (response.Headers.NonValidated.TryGetValues(name, out var values) || response.Content.Headers.NonValidated.TryGetValues(name, out values))
            {
                (kept ??= new(StringComparer.Ordinal))[name] = ResponseText.Decode(System.Text.Encoding.UTF8.GetBytes(values.ToString()), MaxValueBytes);
            }
        }

        return kept;
    }
}
