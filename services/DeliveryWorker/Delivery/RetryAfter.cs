namespace RuleEngineNats.DeliveryWorker.Delivery;

/// <summary>How long a receiver asks to be left alone: <c>Retry-After</c> in seconds or as an HTTP date (RFC 9110, section 10.2.3). What is neither is ignored.</summary>
internal static class RetryAfter
{
    public static TimeSpan? Of(HttpResponseMessage response, DateTimeOffset now)
    {
        var header = response.Headers.RetryAfter;
        var asked = header?.Delta ?? header?.Date - now;
        return asked > TimeSpan.Zero ? asked : null;
    }
}
