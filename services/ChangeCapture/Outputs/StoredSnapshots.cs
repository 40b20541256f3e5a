using Microsoft.Extensions.Logging;
using RuleEngineNats.ChangeCapture.Events;
using RuleEngineNats.ChangeCapture.Snapshots;
using RuleEngineNats.Contracts;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.ChangeCapture.Outputs;

/// <summary>What the stream has of a slot's snapshots.</summary>
internal sealed partial class StoredSnapshots(JetStreamConnection server, CaptureOptions options, SourceIdentity source, TimeProvider time, ILogger logger)
{
    private readonly ChangeSubjects _subjects = new(options.SubjectPrefix);

    /// <summary>Each beginning and end, in their order.</summary>
    public Task<IReadOnlyList<SnapshotEvent>> FindSnapshotsAsync(CancellationToken cancellationToken) => AnsweredAsync(
        async () =>
        {
            var found = new List<SnapshotEvent>();
            for (var next = 1UL; await server.GetAsync(new() { Seq = next, NextBySubj = _subjects.Snapshot }, cancellationToken) is { } message; next = message.Seq + 1)
            {
                if (server.PositionOf(message, source) is not null && SnapshotEvent.Parse(message.Data.Span) is { } said)
                {
                    found.Add(said);
                }
            }

            return (IReadOnlyList<SnapshotEvent>)found;
        },
        cancellationToken);

    /// <summary>The last row of a table; null where another snapshot, or another slot, has read it since.</summary>
    public Task<ReadPlace?> FindReadAsync(string snapshot, string schema, string table, CancellationToken cancellationToken) => AnsweredAsync(
        async () => await server.GetAsync(new() { LastBySubj = _subjects.Read(schema, table) }, cancellationToken) is { } message
            && server.PositionOf(message, source) is not null
            && StoredHeaders.Find(message.Hdrs, EventHeaders.CaptureSnapshot) is { } header
            && ReadPlace.Parse(header) is { } place && place.Id == snapshot ? place : null,
        cancellationToken);

    // No answer is not "nothing": rows would come twice.
    private async Task<T> AnsweredAsync<T>(Func<Task<T>> ask, CancellationToken cancellationToken)
    {
        for (var failures = 1; ; failures++)
        {
            try
            {
                return await ask();
            }
            catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
            {
                NoAnswer(options.NatsStream, server.Name, NatsUrls.Redact(exception.Message));
            }

            await Task.Delay(options.PauseAfter(failures), time, cancellationToken);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "stream {Stream} on {Server} does not say how far a snapshot is: {Reason}; trying again")]
    private partial void NoAnswer(string stream, string server, string reason);
}
