using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using RuleEngineNats.DeliveryWorker.Authorization;
using RuleEngineNats.DeliveryWorker.Delivery;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.DeliveryWorker.Tests.Delivery;

/// <summary>The slice that sends, put together as the worker does it.</summary>
internal static class Requests
{
    public static readonly EgressOptions Local = new() { AllowLoopback = true, AllowHttp = true, AllowAnyPort = true };

    public static Authorize Authorize(DeliveryClient client, TimeProvider? time = null)
        => new(client, new OAuthTokens(client, time ?? TimeProvider.System), new CertificateClients(Local, DeliveryClient.Resolve), time ?? TimeProvider.System);

    public static PostWebhook Slice(DeliveryClient client, TimeProvider? time = null)
        => new(Authorize(client, time), Options.Create(new DeliveryOptions()), time ?? TimeProvider.System, NullLogger<PostWebhook>.Instance);

    public static OutgoingEvent Event(string id = "e") => new(id, "{}"u8.ToArray());

    public static Func<string, CancellationToken, Task<IPAddress[]>> Resolving(params string[] addresses)
        => (_, _) => Task.FromResult(addresses.Select(IPAddress.Parse).ToArray());
}
