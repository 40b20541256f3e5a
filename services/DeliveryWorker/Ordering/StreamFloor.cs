namespace RuleEngineNats.DeliveryWorker.Ordering;

/// <summary>How far a stream has been acknowledged without a gap: of every event up to here, the calls are in PostgreSQL.</summary>
internal readonly record struct StreamFloor(string Stream, long Sequence);
