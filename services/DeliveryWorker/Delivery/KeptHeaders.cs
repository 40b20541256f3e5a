namespace RuleEngineNats.DeliveryWorker.Delivery;

/// <summary>Those headers of an answer that are kept with the attempt. Only what is on the list: the rest may hold credentials.</summary>
internal static class KeptHeaders
{
    private const int MaxValueLength = 1024;

    public static Dictionary<string, string>? Of(HttpResponseMessage response, string[] names)
    {
        Dictionary<string, string>? kept = null;
        foreach (var name in names)
        {
            if (response.Headers.NonValidated.TryGetValues(name, out var values) || response.Content.Headers.NonValidated.TryGetValues(name, out values))
            {
                // Of Latin-1, so no character is cut in half; a NUL would have ended the answer.
                var value = values.ToString();
                (kept ??= new(StringComparer.Ordinal))[name] = value.Length <= MaxValueLength ? value : value[..MaxValueLength];
            }
        }

        return kept;
    }
}
