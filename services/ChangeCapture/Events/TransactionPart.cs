using RuleEngineNats.ChangeCapture.Pgoutput;

namespace RuleEngineNats.ChangeCapture.Events;

/// <summary>Changes of one transaction as one event.</summary>
/// <param name="Number">1 for the transaction's first.</param>
/// <param name="Last">No further part follows.</param>
/// <param name="Changes">Formatted already.</param>
internal sealed record TransactionPart(int Number, bool Last, IReadOnlyList<byte[]> Changes) : WalMessage;
