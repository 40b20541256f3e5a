using RuleEngineNats.Contracts;
using RuleEngineNats.Entities;
using RuleEngineNats.IngestionWorker.Pumping;

namespace RuleEngineNats.IngestionWorker.Reading;

/// <summary>A document that its entity fits, on its way into the tables.</summary>
/// <param name="Arrival">The message it came in.</param>
/// <param name="Message">That message's whole body: what a dead letter would have.</param>
/// <param name="Envelope">What that says.</param>
/// <param name="Sha256">Of the document as it was sent.</param>
/// <param name="Entity">The root entity it was read as.</param>
/// <param name="Slices">Where its rows are in the batch's buffers.</param>
/// <param name="Events">What is published with them.</param>
internal sealed record Document(
    Arrival Arrival, ReadOnlyMemory<byte> Message, IngestEnvelope Envelope, byte[] Sha256, Entity Entity, RowSlice[] Slices, IReadOnlyList<RowEvent> Events)
{
    public Guid Id => Envelope.MessageId;
}

/// <summary>The rows of one document in one table.</summary>
/// <param name="Table">Index of the table in the catalog.</param>
/// <param name="Start">Where they begin in the table's buffer.</param>
/// <param name="Length">Their bytes.</param>
/// <param name="Rows">Their number.</param>
internal readonly record struct RowSlice(int Table, int Start, int Length, int Rows);
