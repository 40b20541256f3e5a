namespace RuleEngineNats.DeliveryWorker.Tests;

/// <summary>A clock that a test sets; what elapses is real.</summary>
internal sealed class SetTime : TimeProvider
{
    public DateTimeOffset Now { get; set; } = System.GetUtcNow();

    public override DateTimeOffset GetUtcNow() => Now;
}
