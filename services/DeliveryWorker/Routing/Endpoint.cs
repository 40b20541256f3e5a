using RuleEngineNats.DeliveryWorker.Authorization;
using RuleEngineNats.DeliveryWorker.Payloads;
using RuleEngineNats.DeliveryWorker.Signing;
using RuleEngineNats.Messaging;

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

    /// <summary>Pauses before each repeat; empty when there is none.</summary>
    public IReadOnlyList<TimeSpan> RetryDelays { get; init; } = [];

    /// <summary>Whether there are none because somebody switched them off.</summary>
    public bool RetriesEnabled { get; init; } = true;

    public DeliverySettings Delivery { get; init; } = new();

    /// <summary>Why it is off; null while it is on.</summary>
    public string? Off { get; init; }

    /// <summary>Whether failures switched it off, which the success of a probe undoes.</summary>
    public bool MayRecover { get; init; }

    /// <summary>How requests are signed; see <see cref="SignRequest"/>.</summary>
    public string SignatureProfile { get; init; } = SignRequest.Standard;

    /// <summary>The newest first.</summary>
    public IReadOnlyList<SigningKey> SigningKeys { get; init; } = [];

    public PayloadSettings Payload { get; init; } = PayloadSettings.Plain;

    /// <summary>Why a signing key is missing, or null.</summary>
    public string? SecretProblem { get; init; }

    public EndpointAuthorization Authorization { get; init; } = EndpointAuthorization.None;

    /// <summary>Why nothing is sent to it at all, or null.</summary>
    public string? Problem => Target.Problem ?? Headers.Problem ?? SecretProblem ?? Authorization.Problem;
}
