using RuleEngineNats.IngestionApi.Health;
using RuleEngineNats.IngestionApi.Messages;
using RuleEngineNats.IngestionApi.Problems;
using RuleEngineNats.IngestionApi.Streams;

namespace RuleEngineNats.IngestionApi.Limits;

/// <summary>What is asked of every request with documents before its body is read, and how a refusal is answered.</summary>
internal sealed class Admission(ClientRates rates, StreamHeadroom headroom)
{
    public async Task RunAsync(HttpContext context, Func<HttpContext, string, ValueTask<Refusal?>> handle)
    {
        var client = ClientTerms.ClientOf(context.Request);
        if ((Refuse(context, client) ?? await handle(context, client)) is { } refusal)
        {
            IngestionMetrics.Refused(refusal);
            await refusal.WriteAsync(context);
        }
    }

    private Refusal? Refuse(HttpContext context, string client)
        => rates.Take(client, context.Connection.RemoteIpAddress) is > 0 and var wait ? Refusals.RateLimited(wait)
            : headroom.IsFull ? Refusals.StreamFull(headroom.RetryAfterSeconds)
            : null;
}
