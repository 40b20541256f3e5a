namespace Grpc.AspNetCore.HealthChecks;

/// <summary>Which health checks speak for which gRPC service, and how they are asked.</summary>
public sealed class GrpcHealthChecksOptions
{
    public ServiceMappingCollection Services { get; } = [];

    /// <summary>False runs the checks on each call; true answers with what was last published.</summary>
    public bool UseHealthChecksCache { get; set; }

    /// <summary>False ends each Watch with NOT_SERVING when the application stops; true leaves it to be cut.</summary>
    public bool SuppressCompletionOnShutdown { get; set; }
}
