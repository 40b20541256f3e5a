using System.Globalization;

namespace RuleEngineNats.DeliveryWorker;

/// <summary>Who this process says it is.</summary>
internal static class DeliveryWorkerInfo
{
    /// <summary>Name of a lease: it tells processes apart, restarts of the same one too.</summary>
    public static readonly string InstanceId = string.Create(CultureInfo.InvariantCulture, $"{Environment.MachineName}:{Environment.ProcessId}:{Guid.NewGuid():N}");

    public const string UserAgent = "RuleEngineNats/0.1 (+https://www.standardwebhooks.com)";
}
