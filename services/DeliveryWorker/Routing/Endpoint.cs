using RuleEngineNats.DeliveryWorker.Egress;
using RuleEngineNats.DeliveryWorker.Payloads;
using RuleEngineNats.DeliveryWorker.Queue;

namespace RuleEngineNats.DeliveryWorker.Routing;

/// <summary>A webhook as deliveries need it: everything that can be parsed, decoded or refused beforehand is.</summary>
internal sealed record Endpoint(int Id, string Name)
{
    /// <summary>The subjects it receives; null when it takes no events from streams.</summary>
    public string? Filter { get; init; }

    public TargetUrl Target { get; init; }

    public HttpMethod Method { get; init; } = HttpMethod.Post;

    public EndpointHeaders Headers { get; init; } = new([], null);

    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(5);

    public RetryPolicy Retries { get; init; } = new(true, 3, TimeSpan.FromSeconds(1), 2);

    public IReadOnlyList<byte[]> SigningKeys { get; init; } = [];

    public PayloadSettings Payload { get; init; } = PayloadSettings.Plain;

    /// <summary>Why a signing key is missing, or null.</summary>
    public string? SecretProblem { get; init; }

    /// <summary>Why nothing is sent to it at all, or null.</summary>
    public string? Problem => Target.Problem ?? Headers.Problem ?? SecretProblem;
}
